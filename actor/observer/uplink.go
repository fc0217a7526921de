package observer

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"semper/actor"
	"semper/supervise"
)

// Options are the settings of an Uplink. The zero value is what a program under semper wants.
type Options struct {
	Socket  string // where semper listens; empty: what SEMPER_TREE says
	Program string // what it is called; empty: the name of its file
	Queue   int    // crash reports kept for semper; zero: 64
}

const (
	defaultQueue = 64
	dialTime     = 5 * time.Second
	sendTime     = 10 * time.Second // for a line to leave; semper takes it soon or is stuck
	goodbyeTime  = time.Second      // for the crash reports that are left at the end
	askTime      = 2 * time.Second  // for a process to come out of its callback
	slots        = 4                // questions answered at a time
	redialMin    = 100 * time.Millisecond
	redialMax    = 30 * time.Second
	healthy      = 10 * time.Second // a connection that lasted so long was a good one
	searchable   = 1000             // children of a tree in which a crash looks for its path
)

// An Uplink tells semper of one tree: its Serve answers what semper asks, its Reporter sends crash reports. Where
// SEMPER_TREE is not set it does nothing. All methods are safe for concurrent use.
type Uplink struct {
	socket  string
	program string
	root    atomic.Pointer[supervise.Child]
	size    atomic.Int64 // of the tree when it was last seen
	queue   chan Crash
	dropped atomic.Uint64
	unsent  *Crash // belongs to the sender of the one session there is
	one     sync.Mutex
}

// NewUplink makes an Uplink, which connects when its Serve runs.
func NewUplink(o Options) *Uplink {
	if o.Socket == "" {
		o.Socket = os.Getenv(Env)
	}
	if o.Program == "" {
		o.Program = filepath.Base(os.Args[0])
	}
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	u := &Uplink{socket: o.Socket, program: cut(o.Program, maxText)}
	if u.socket != "" {
		u.queue = make(chan Crash, o.Queue)
	}
	return u
}

// Serve is NewUplink(Options{}).Serve(root): it shows the tree, and no crash reports.
func Serve(root supervise.Child) func(ctx context.Context) error {
	return NewUplink(Options{}).Serve(root)
}

// Serve returns what supervise.Serve wants: a function that shows the tree below root to semper until ctx ends. It
// connects and connects again by itself, so that nothing outside makes it end. Of one Uplink one Serve works at a time.
func (u *Uplink) Serve(root supervise.Child) func(ctx context.Context) error {
	u.show(root)
	return u.serve
}

func (u *Uplink) show(root supervise.Child) {
	if root != nil {
		u.root.Store(&root)
	}
}

func (u *Uplink) tree() supervise.Child {
	if root := u.root.Load(); root != nil {
		return *root
	}
	return nil
}

// Reporter is an actor.Reporter that keeps each crash report for semper and passes it on to next, or to log/slog when
// next is nil. It never blocks: when semper does not take them, the newest are dropped and counted.
func (u *Uplink) Reporter(next actor.Reporter) actor.Reporter {
	if next == nil {
		next = actor.CrashReport.Log
	}
	return func(r actor.CrashReport) {
		u.keep(r)
		next(r)
	}
}

func (u *Uplink) keep(r actor.CrashReport) {
	switch {
	case u.queue == nil:
		return
	case len(u.queue) == cap(u.queue):
		u.dropped.Add(1)
		return
	}
	at := placeOfService(r)
	if r.PID.Number() != 0 {
		at = u.path(r.PID)
	}
	select {
	case u.queue <- crashOf(r, at):
	default:
		u.dropped.Add(1)
	}
}

// path is where the process stands in the tree. It still does: its supervisor is told after the report is made.
func (u *Uplink) path(id actor.PID) (at string) {
	defer func() {
		if recover() != nil { // a child of the program's own making: it must not cost the report
			at = id.Path()
		}
	}()
	if root := u.tree(); root != nil && u.size.Load() <= searchable {
		_, path, seen := find(root, searchable, func(other actor.PID) bool { return other == id })
		if path != "" {
			return path
		}
		if seen > searchable {
			u.size.Store(int64(seen))
		}
	}
	return id.Path()
}

var errTwice = errors.New("this Uplink serves already: make one for each tree with NewUplink")

// serve keeps a connection to semper.
func (u *Uplink) serve(ctx context.Context) error {
	if u.socket == "" {
		<-ctx.Done()
		return ctx.Err()
	}
	if !u.one.TryLock() {
		return errTwice
	}
	defer u.one.Unlock()
	wait := redialMin
	for {
		began := time.Now()
		u.session(ctx)
		if time.Since(began) >= healthy {
			wait = redialMin
		}
		t := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		wait = min(2*wait, redialMax)
	}
}
