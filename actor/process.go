package actor

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"semper/supervise"
)

// A Reason says why a process ended. It is the reason of package supervise: one word for goroutines, OS processes and
// supervisors.
type Reason = supervise.Reason

// The kinds of a Reason.
const (
	Normal   = supervise.Normal
	Shutdown = supervise.Shutdown
	Killed   = supervise.Killed
	Crash    = supervise.Crash
)

// phase is what a process is doing:
//
//	starting ──▶ idle ◀──▶ busy ──▶ dead
//
// A goroutine exists in starting and busy only. A dead process may still have one: a callback that Kill left behind.
type phase uint8

const (
	starting phase = iota // Init runs
	idle                  // nothing to do, or suspended; no goroutine
	busy                  // a goroutine runs it, or is about to
	dead
)

// process is what does not depend on the type of message: life, signals, links, monitors, names.
//
// Nothing is called while mu is held: not a callback, not another process, not a watcher.
type process struct {
	alarm  atomic.Bool // something is to be done before the next message: an exit, a kill, a control
	id     uint64
	base   context.Context // what Start was given, without its end
	kin    *lineage        // who started it
	parent *process        // whose exit ends it even when it traps; nil when it was not linked at its start
	label  string
	since  time.Time
	self   runner // the typed half

	// Guarded by mu, as all that follows.
	exit     *Reason  // an exit signal that is to end it
	controls []func() // run by its goroutine, before messages
	open     *request // calls taken but not yet answered, a list
	reason   Reason   // of dead
	names    []Registrar
	cold     *cold  // what most processes never need
	handled  uint64 // messages handled: the reductions

	// What a send touches stands together, and right before the mailbox: a message costs cache misses above all.
	loop      func()                 // runs it; kept so that a wake allocates nothing
	spare     atomic.Pointer[waiter] // of the last call, for the next one
	mu        sync.Mutex
	phase     phase
	active    bool // a goroutine is inside run, also after the death
	trap      bool
	suspended bool
	told      bool // dead, and everyone who must know has been told
}

// runs is the start of a process's goroutines. It has a short name of its own because the Go runtime reads the whole
// name of a goroutine's first function at its start and at its end, and that of a generic method is long: it was a
// fifth of the cost of a wake. Inlined, it would have the name of where it is inlined.
//
//go:noinline
func runs(r runner) func() { return func() { r.run() } }

// cold is the part of a process that only some have.
type cold struct {
	links      map[*process]struct{}
	watchers   map[uint64]watcher
	monitoring map[uint64]*process // who is watched by it, by the number of the monitor
	ended      chan struct{}       // closed by the death; made when somebody asks
	asked      chan struct{}       // closed when its context ends; made when somebody asks
	gone       chan struct{}       // closed when the last goroutine has returned; made when somebody asks
}

// A runner is the typed half of a process.
type runner interface {
	run()
	post(info any) error // an Info, in order with the messages
	drain() []*request   // empties the mailbox, returns the calls in it; mu is held
	queued() int         // mu is held
	lost() uint64        // mu is held
	replace(any) error   // its goroutine only
	behaviour() any      // its goroutine only: the server
}

// A watcher is told of the end of a process, once.
type watcher interface {
	down(p *process, ref uint64, r Reason)
}

// lineage is the list of those that started a process, nearest first.
type lineage struct {
	name string
	up   *lineage
}

var lastID atomic.Uint64 // of processes and monitors

// A PID identifies one incarnation of a process, whatever its messages are. PIDs are comparable; the zero PID is
// nobody. All methods are safe for concurrent use.
type PID struct{ p *process }

// String is the number of the process and its label.
func (id PID) String() string {
	if id.p == nil {
		return "<nobody>"
	}
	return id.p.String()
}

func (p *process) String() string {
	if p.label == "" {
		return fmt.Sprintf("<%d>", p.id)
	}
	return fmt.Sprintf("<%d %s>", p.id, p.label)
}

// Alive reports whether the process has not ended. It may end right after.
func (id PID) Alive() bool {
	if id.p == nil {
		return false
	}
	id.p.mu.Lock()
	defer id.p.mu.Unlock()
	return id.p.phase != dead
}

// Done is closed when the process has ended and its name is free.
func (id PID) Done() <-chan struct{} {
	if id.p == nil {
		return closed
	}
	return id.p.done()
}

// Reason says why the process ended; meaningful after Done.
func (id PID) Reason() Reason {
	if id.p == nil {
		return Reason{Kind: Crash, Err: ErrNoProc}
	}
	id.p.mu.Lock()
	defer id.p.mu.Unlock()
	return id.p.reason
}

// Gone is closed when the process has ended and its last callback has returned, which after a Kill may be later than
// Done or never.
func (id PID) Gone() <-chan struct{} {
	if id.p == nil {
		return closed
	}
	return id.p.goneChan()
}

// Exit sends an exit signal, as exit/2 of OTP. A process that does not trap exits ends for the reason, unless it is
// Normal; one that does gets an Exit message. Reason Killed is Kill.
func (id PID) Exit(r Reason) {
	switch {
	case id.p == nil:
	case r.Kind == Killed:
		id.p.kill(r)
	default:
		id.p.signal(nil, r)
	}
}

// Kill ends the process at once, whatever it traps. Its name is free, its callers and monitors are told, and what it
// still replies goes nowhere. A callback in which it is cannot be stopped: until it returns, the process is not Gone.
func (id PID) Kill() {
	if id.p != nil {
		id.p.kill(Reason{Kind: Killed})
	}
}

// Shutdown asks the process to end as its supervisor would, and waits until it has, or ctx ends.
func (id PID) Shutdown(ctx context.Context) error {
	if id.p == nil {
		return ErrNoProc
	}
	id.p.shutdown()
	select {
	case <-id.p.done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("process %v is still ending: %w", id, context.Cause(ctx))
	}
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// rare makes the cold part; mu is held.
func (p *process) rare() *cold {
	if p.cold == nil {
		p.cold = &cold{}
	}
	return p.cold
}

func (p *process) done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told {
		return closed
	}
	c := p.rare()
	if c.ended == nil {
		c.ended = make(chan struct{})
	}
	return c.ended
}

func (p *process) goneChan() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told && !p.active {
		return closed
	}
	c := p.rare()
	if c.gone == nil {
		c.gone = make(chan struct{})
	}
	return c.gone
}

// left notes that no goroutine is inside the process any more; mu is held.
func (p *process) left() {
	p.active = false
	p.closeGone()
}

// wake gives an idle process a goroutine; mu is held and released.
func (p *process) wake() {
	if p.phase != idle {
		p.mu.Unlock()
		return
	}
	p.phase, p.active = busy, true
	p.mu.Unlock()
	go p.loop()
}

// signal delivers an exit signal from another process, or from outside when from is nil.
func (p *process) signal(from *process, r Reason) {
	p.mu.Lock()
	parental := from != nil && from == p.parent
	switch {
	case p.phase == dead:
		p.mu.Unlock()
	case p.trap && !(parental && p.suspended):
		p.mu.Unlock()
		if parental {
			_ = p.self.post(ending{r})
			return
		}
		_ = p.self.post(Exit{From: PID{from}, Reason: r})
	case r.Kind == Normal && !parental:
		p.mu.Unlock()
	default:
		p.leave(r)
	}
}

// leave makes p end between two messages, and ends its context; mu is held and released.
func (p *process) leave(r Reason) {
	if p.exit == nil {
		p.exit = &r
	}
	p.alarm.Store(true)
	p.endContext()
	p.wake()
}

// shutdown is the exit signal of a supervisor. It ends a process that traps exits too, after the messages before it.
func (p *process) shutdown() {
	r := Reason{Kind: Shutdown}
	p.mu.Lock()
	switch {
	case p.phase == dead:
		p.mu.Unlock()
	case p.trap && !p.suspended:
		p.mu.Unlock()
		_ = p.self.post(ending{r})
	default:
		p.leave(r)
	}
}

// ending is the exit of a parent or a supervisor's shutdown on its way through the mailbox of one that traps exits.
type ending struct{ reason Reason }

func (p *process) kill(r Reason) {
	r.Kind = Killed
	p.alarm.Store(true)
	p.die(r)
}

// die is the end: no message is taken any more, names are free, and then everyone who must know is told.
func (p *process) die(r Reason) {
	p.mu.Lock()
	if p.phase == dead {
		p.mu.Unlock()
		return
	}
	p.phase, p.reason = dead, r
	p.alarm.Store(true)
	names, controls := p.names, p.controls
	p.names, p.controls = nil, nil
	calls := p.self.drain()
	for q := p.open; q != nil; q = q.next {
		calls = append(calls, q)
	}
	p.open = nil
	p.endContext()
	c := p.cold
	var links map[*process]struct{}
	var watchers map[uint64]watcher
	var monitoring map[uint64]*process
	if c != nil {
		links, watchers, monitoring = c.links, c.watchers, c.monitoring
		c.links, c.watchers, c.monitoring = nil, nil, nil
	}
	p.mu.Unlock()

	for _, n := range names {
		n.Unregister(PID{p})
	}
	for _, f := range controls {
		f() // sees that the process is dead
	}
	for _, q := range calls {
		q.fail(&ExitError{PID: PID{p}, Reason: r})
	}
	for ref, other := range monitoring {
		other.unwatch(ref)
	}
	for other := range links {
		other.cut(p)
		other.signal(p, r)
	}
	for ref, w := range watchers {
		w.down(p, ref, r)
	}
	p.mu.Lock()
	p.told = true
	if p.cold != nil && p.cold.ended != nil {
		close(p.cold.ended)
	}
	p.closeGone()
	p.mu.Unlock()
}

// closeGone closes gone when it is time; mu is held.
func (p *process) closeGone() {
	if p.told && !p.active && p.cold != nil && p.cold.gone != nil {
		close(p.cold.gone)
		p.cold.gone = nil
	}
}
