package supervise

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A start that acknowledges by itself is the goroutine of its child, watched or telling.
func TestAck(t *testing.T) {
	for name, tells := range map[string]bool{"watched": false, "telling": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(l *lab) {
				starts := 0
				s := l.sup(Flags{Intensity: 9}, ChildSpec{ID: "a", Start: func(ctx context.Context) (Child, error) {
					starts++
					u := &unit{lab: l, id: "a", done: make(chan struct{})}
					l.set(func() { l.units["a"] = u })
					child := Child(u)
					if tells {
						child = notifying{u}
					}
					if !ctx.(*Starting).Ack(child) {
						t.Error("nobody knew the outcome")
					}
					if ctx.(*Starting).Ack(child) || ctx.(*Starting).Fail(errBoom) {
						t.Error("it was told a second time")
					}
					<-u.done // it goes on as the child's
					return nil, errBoom
				}})
				l.crash("a")
				l.crash("a")
				if c := s.Children()[0]; starts != 3 || c.State != StateRunning || c.Restarts != 2 {
					t.Errorf("%d starts, %+v", starts, c)
				}
				l.ok(s.Stop(bg))
			})
		})
	}
}

type notifying struct{ *unit }

func (n notifying) Notify(f func()) {
	go func() { <-n.done; f() }()
}

// Fail is a failed start while its goroutine goes on.
func TestFail(t *testing.T) {
	bubble(t, func(l *lab) {
		held := make(chan struct{})
		_, err := Start(bg, Flags{}, []ChildSpec{{ID: "a", Start: func(ctx context.Context) (Child, error) {
			ctx.(*Starting).Fail(errBoom)
			<-held
			return nil, nil
		}}}, Options{})
		l.wantErr(err, errBoom)
		close(held)
	})
}

type canceler func(error)

func (f canceler) Cancel(cause error) { f(cause) }

// The supervisor's stop reaches a start by OnCancel, and by the context, also by one that comes from it.
func TestOnCancel(t *testing.T) {
	bubble(t, func(l *lab) {
		var told, late error
		s := l.sup(Flags{})
		spec := ChildSpec{ID: "a", Start: func(ctx context.Context) (Child, error) {
			st := ctx.(*Starting)
			st.OnCancel(canceler(func(cause error) { told = cause }))
			below, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			if ctx.Err() != nil || st.Values().Done() != nil {
				t.Errorf("over before its end: %v", ctx.Err())
			}
			<-below.Done()
			if c := context.Cause(below); !errors.Is(c, ErrTerminated) || !errors.Is(context.Cause(ctx), ErrTerminated) {
				t.Errorf("the causes are %v and %v", c, context.Cause(ctx))
			}
			st.OnCancel(canceler(func(cause error) { late = cause }))
			return nil, ctx.Err()
		}}
		done := make(chan error, 1)
		go func() { done <- s.StartChild(bg, spec) }()
		synctest.Wait()
		l.ok(s.TerminateChild(bg, "a"))
		l.wantErr(<-done, ErrTerminated)
		if !errors.Is(told, ErrTerminated) || !errors.Is(late, ErrTerminated) {
			t.Errorf("told %v, and late %v", told, late)
		}
	})
}

// A panic before the acknowledgement is a failed start.
func TestPanicBeforeAck(t *testing.T) {
	bubble(t, func(l *lab) {
		_, err := Start(bg, Flags{}, []ChildSpec{{ID: "a", Start: panicking2}}, Options{})
		var p *PanicError
		if !errors.As(err, &p) {
			t.Errorf("%v", err)
		}
	})
}
