package actor

import (
	"context"
	"sync/atomic"
	"time"
)

// The context of a process: it ends when the process is asked to end, and its values are those of its start.

func (p *process) core() *process { return p }

func (p *process) asked() *process { return p }

// Deadline implements context.Context: a process has none.
func (p *process) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context. It is closed when the process is asked to end, or has ended; of one that traps exits
// only when it has ended, because there it is a message that asks.
func (p *process) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit != nil || p.phase == dead {
		return closed
	}
	c := p.rare()
	if c.asked == nil {
		c.asked = make(chan struct{})
	}
	return c.asked
}

// Err implements context.Context.
func (p *process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit != nil || p.phase == dead {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context.
func (p *process) Value(key any) any {
	switch key {
	case selfKey{}:
		return p
	case kinKey{}:
		return &lineage{name: p.String(), up: p.kin}
	}
	if p.base == nil { // a Self made by hand, as a test of a Server may
		return nil
	}
	return p.base.Value(key)
}

// kinKey leads to the lineage of what is started with a context.
type kinKey struct{}

// AfterFunc calls f in a goroutine of its own when the context of the process ends, unless stop is called before. It is
// what package context asks for: without it, each context made from a Self would cost a goroutine.
func (p *process) AfterFunc(f func()) (stop func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit != nil || p.phase == dead {
		go f()
		return func() bool { return false }
	}
	c := p.rare()
	if c.whenAsked == nil {
		c.whenAsked = make(map[*func()]struct{})
	}
	key := &f
	c.whenAsked[key] = struct{}{}
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, waits := c.whenAsked[key]
		delete(c.whenAsked, key)
		return waits
	}
}

// endContext is called with mu held, after exit or phase has been set.
func (p *process) endContext() {
	if q := p.awaiting.Load(); q != nil {
		q.abandon()
	}
	c := p.cold
	if c == nil {
		return
	}
	if c.asked != nil {
		close(c.asked)
		c.asked = nil
	}
	for f := range c.whenAsked {
		go (*f)()
	}
	c.whenAsked = nil
}

// finalContext is the context of Terminate: that of the process, but it ends only with the process.
type finalContext struct{ *process }

func (c finalContext) asked() *process { return nil }

func (c finalContext) Done() <-chan struct{} { return c.process.done() }

func (c finalContext) Err() error {
	if (PID{c.process}).Alive() {
		return nil
	}
	return context.Canceled
}

// AfterFunc is that of a context which ends when the process has ended.
func (c finalContext) AfterFunc(f func()) (stop func() bool) {
	var taken atomic.Bool // by the end, or by stop
	(*child)(c.process).Notify(func() {
		if taken.CompareAndSwap(false, true) {
			go f()
		}
	})
	return func() bool { return taken.CompareAndSwap(false, true) }
}
