package actor

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"semper/actor/internal/few"
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
// Nothing is called while mu is held: not a callback, not another process, not a watcher. Two of them are held together
// only to make or to cut a link, that of the older process first.
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
	loop      func()                  // runs it; kept so that a wake allocates nothing
	spare     atomic.Pointer[waiter]  // of the last call, for the next one
	awaiting  atomic.Pointer[request] // the call in which a callback of it waits
	mu        sync.Mutex
	phase     phase
	active    bool // a goroutine is inside run, also after the death
	trap      bool
	suspended bool
	over      bool  // dead, and its names are free: who links or watches now is too late
	born      bool  // its Init has returned without an error
	told      bool  // dead, and everyone who must know has been told
	naming    int32 // calls of Register under way
}

// runs is the start of a process's goroutines. It has a short name of its own because the Go runtime reads the whole
// name of a goroutine's first function at its start and at its end, and that of a generic method is long: it was a
// fifth of the cost of a wake. Inlined, it would have the name of where it is inlined.
//
//go:noinline
func runs(r runner) func() { return func() { r.run() } }

// cold is the part of a process that only some have.
type cold struct {
	links      few.Set[process]
	watchers   map[uint64]*process  // who watches it, by the same
	after      few.Funcs            // called when all are told
	monitoring map[uint64]*process  // who is watched by it, by the number of the monitor
	ended      chan struct{}        // closed by the death; made when somebody asks
	whenAsked  map[*func()]struct{} // called when its context ends
	asked      chan struct{}        // closed when its context ends; made when somebody asks
	gone       chan struct{}        // closed when the last goroutine has returned; made when somebody asks
	rest       func()               // of a death that waits for the end of a Register
}

// A runner is the typed half of a process.
type runner interface {
	run()
	push(info any)     // puts an Info into the mailbox; mu is held
	drain() []*request // empties the mailbox, returns the calls in it; mu is held
	counts() counts    // mu is held
	ordered() *Reason  // an end that waits in the mailbox; mu is held
	replace(any) error // its goroutine only
	behaviour() any    // its goroutine only: the server
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
	switch {
	case id.p == nil:
		return ErrNoProc
	case ctx == nil:
		return fmt.Errorf("%w: Shutdown wants a context that says how long to wait", ErrInvalid)
	case caller(ctx) == id.p:
		return fmt.Errorf("%w; to end, return Stop", ErrCallingSelf)
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
