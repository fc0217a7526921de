package supervise

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// loop drives a core: one goroutine that takes inputs from a mailbox and performs commands. It is what all supervisors
// are made of, and its exported methods are theirs.
type loop struct {
	observe  func(Event)
	base     context.Context // what the starts' contexts are made from: the values of Start's, never ended
	box      mailbox
	works    sync.WaitGroup // the goroutines of the incarnations; run and letGo wait for them
	done     chan struct{}  // closed when the supervisor has ended and nothing of it runs
	gone     chan struct{}  // closed when the loop has ended: after done, or after released
	released chan struct{}
	release  sync.Once
	spare    atomic.Pointer[call] // one that was answered: the next caller takes it with its channel

	mu       sync.Mutex // guards the following; only the loop writes core
	core     *core
	left     remnants
	told     bool // done is closed
	notified []func()
}

// run is the supervisor's goroutine. It performs what the core decides, and never waits for a child.
func (l *loop) run() {
	defer close(l.gone)
	defer l.box.close()
	timer := time.AfterFunc(time.Hour, func() { l.box.put(tick{}) })
	timer.Stop()
	defer timer.Stop()
	armed := false
	var batch []input
	for {
		<-l.box.wake // all that wakes comes by it: a select would be a good part of what a restart costs
		select {
		case <-l.released:
			l.letGo()
			return
		default:
		}
		batch = l.box.take(batch)
		for i, in := range batch {
			batch[i] = nil
			l.step(in)
		}
		if l.over() {
			l.works.Wait()
			l.tellDone()
			return
		}
		if at, ok := l.core.next(); ok {
			timer.Reset(time.Until(at)) // one that has fired meanwhile is a tick too many, which does nothing
			armed = true
		} else if armed {
			timer.Stop()
			armed = false
		}
	}
}

// step lets the core decide, tells the observer, and performs, in this order: an end is observed before the next
// incarnation can be.
func (l *loop) step(in input) {
	now := time.Now()
	if e, ok := in.(*ended); ok {
		if !e.kid.lives(e.n) {
			return
		}
		e.reason = e.kid.child.Reason()
		l.bury(e.kid, e.reason, now)
	}
	l.mu.Lock()
	events, commands := l.core.step(now, in)
	for _, c := range commands {
		if c.verb == doStart {
			c.kid.run = &Starting{l: l, kid: c.kid, n: c.n}
		}
	}
	l.mu.Unlock()
	if l.observe != nil {
		for _, e := range events {
			l.observe(e)
		}
	}
	for i, c := range commands {
		commands[i] = command{} // or it would keep a child from being collected
		l.perform(c)
	}
	clear(events)
}

func (l *loop) perform(c command) {
	switch c.verb {
	case doStart:
		l.works.Add(1)
		go l.live(c.kid.run, c.kid.start)
	case doCancel:
		c.kid.run.cancel(c.err)
	case doShutdown, doKill:
		c.kid.tell(c.verb)
	case doRetry:
		l.box.put(retry{kid: c.kid, n: c.n})
	case doAnswer:
		c.call.ret <- c.err
	}
}

func (l *loop) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.core.stage == over
}

func (l *loop) tellDone() {
	l.mu.Lock()
	l.told = true
	waiting := l.notified
	l.notified = nil
	close(l.done)
	l.mu.Unlock()
	for _, f := range waiting {
		f()
	}
}

// letGo ends the goroutines of all incarnations without touching a child that runs.
func (l *loop) letGo() {
	var children []Child
	var starts []*Starting
	l.mu.Lock()
	for k := range l.core.kids.forward() {
		switch k.phase {
		case running, stopping:
			children = append(children, k.child)
		case starting:
			starts = append(starts, k.run)
		}
	}
	l.mu.Unlock()
	for _, s := range starts {
		s.cancel(ErrReleased)
	}
	l.works.Wait()
	for _, in := range l.box.take(nil) {
		if in, ok := in.(answered); ok && in.err == nil {
			children = append(children, in.child)
		}
	}
	for _, child := range children {
		if nested, ok := child.(interface{ Release() }); ok {
			nested.Release()
		}
	}
}

// ask puts a call and waits for its answer.
func (l *loop) ask(ctx context.Context, c call) error {
	_, err := l.askChild(ctx, c)
	return err
}

// askChild is ask for a call that is answered with a child.
func (l *loop) askChild(ctx context.Context, in call) (Child, error) {
	if err := usable(ctx); err != nil {
		return nil, err
	}
	c := l.spare.Swap(nil)
	if c == nil {
		c = &call{ret: make(chan error, 1)}
	}
	in.ret = c.ret
	*c = in
	l.box.put(c)
	select {
	case err := <-c.ret:
		return l.reuse(c, err)
	case <-ctx.Done():
		return nil, context.Cause(ctx) // the call stays with the loop, which will answer it
	case <-l.gone:
	}
	select { // answered in the loop's last breath
	case err := <-c.ret:
		return l.reuse(c, err)
	default:
	}
	select {
	case <-l.released:
		return nil, ErrReleased
	default:
		return nil, ErrStopping
	}
}

// reuse takes the answer out of a call and gives the call back: nobody else has it any more.
func (l *loop) reuse(c *call, err error) (Child, error) {
	child := c.child
	*c = call{ret: c.ret}
	l.spare.Store(c)
	if err != nil {
		return nil, err
	}
	return child, nil
}
