package actor

import (
	"context"
	"errors"

	"semper/supervise"
)

// What those need that start processes for others: a supervisor of tasks above all.

// OnBehalf is the context for starting a process whose life is a matter of ctx, and whose work is one of of: its end
// and its ancestors are those of ctx, its values (of tracing, say, or a Reporter) those of of, and of ctx where of has
// none. Its crash report names the callers: the process that of belongs to, and those on whose behalf that one works.
//
//	func(ctx context.Context) (supervise.Child, error) {
//		ref, err := actor.Start(actor.OnBehalf(ctx, request), server, actor.Options{})
//		...
func OnBehalf(ctx, of context.Context) context.Context {
	b := &behalf{Context: ctx}
	b.callers, _ = of.Value(callersKey{}).(*lineage)
	if p := caller(of); p != nil {
		b.callers = &lineage{name: p.String(), up: b.callers}
	}
	if self, ok := of.(interface{ core() *process }); ok {
		b.of = self.core().base
	} else {
		b.of = context.WithoutCancel(of)
	}
	return b
}

type callersKey struct{}

type behalf struct {
	context.Context
	of      context.Context
	callers *lineage
}

// Value implements context.Context.
func (b *behalf) Value(key any) any {
	switch key {
	case selfKey{}, kinKey{}:
		return b.Context.Value(key)
	case callersKey{}:
		return b.callers
	}
	if v := b.of.Value(key); v != nil {
		return v
	}
	return b.Context.Value(key)
}

// callers are those on whose behalf p was started, nearest first.
func (p *process) callers() []string {
	l, _ := p.base.Value(callersKey{}).(*lineage)
	return l.names()
}

// Child is the process as a supervisor takes it, for a StartFunc that starts it by itself. [Child] makes a spec with
// one that does. It is nil for nobody.
func (id PID) Child() supervise.Child {
	if id.p == nil {
		return nil
	}
	return (*child)(id.p)
}

// Stopped tells an error made by Stop, or one that wraps it, from all others, and what the reason in it is.
func Stopped(err error) (Reason, bool) {
	var s *stopError
	if !errors.As(err, &s) {
		return Reason{}, false
	}
	return s.reason, true
}
