package supervise

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// still is a Notifier that does nothing and costs next to nothing, as an idle process of an actor system.
type still struct {
	mu  sync.Mutex // guards the following
	f   func()
	end bool
	why Reason
}

var endless = make(chan struct{}) // the Done of all: nobody is to wait for it

func (s *still) Done() <-chan struct{} { return endless }

func (s *still) Reason() Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}
func (s *still) Shutdown() { s.ends(Reason{Kind: Shutdown}) }
func (s *still) Kill()     { s.ends(Reason{Kind: Killed}) }

func (s *still) Notify(f func()) {
	s.mu.Lock()
	ended := s.end
	s.f = f
	s.mu.Unlock()
	if ended {
		f()
	}
}

func (s *still) ends(r Reason) {
	s.mu.Lock()
	if s.end {
		s.mu.Unlock()
		return
	}
	s.end, s.why = true, r
	f := s.f
	s.mu.Unlock()
	if f != nil {
		f()
	}
}

func (s *still) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

func newStill(context.Context) (Child, error) { return new(still), nil }

// goroutines counts those of this package.
func goroutines() int {
	buf := make([]byte, 1<<20)
	n := 0
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "supervise.(*loop)") {
			n++
		}
	}
	return n
}

// A Notifier lives without a goroutine, and everything a supervisor does to a child works with it.
//
//nolint:paralleltest // it counts goroutines
func TestNotifierNeedsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		before := goroutines()
		s := l.sup(Flags{Strategy: OneForAll, Intensity: 5})
		for i := range 50 {
			l.ok(s.StartChild(bg, ChildSpec{ID: fmt.Sprint(i), Start: newStill}))
		}
		synctest.Wait()
		if n := goroutines() - before; n != 1 {
			t.Errorf("%d goroutines, want the loop alone", n)
		}
		first := s.Children()[0].Child
		s.Children()[7].Child.(*still).ends(Reason{Kind: Crash})
		synctest.Wait()
		all := s.Children()
		if all[0].Child == first || all[49].State != StateRunning {
			t.Errorf("not restarted: %+v", all[0])
		}
		l.ok(s.TerminateChild(bg, "7"))
		l.ok(s.Stop(bg))
		for _, c := range all {
			if r := c.Child.Reason(); r.Kind != Shutdown {
				t.Errorf("%s ended for %v", c.ID, r)
			}
		}
	})
}

// One that has ended before its supervisor could ask to be told is restarted too.
func TestNotifierThatEndsAtOnce(t *testing.T) {
	bubble(t, func(l *lab) {
		var starts atomic.Int32
		s := l.sup(Flags{Intensity: 3}, ChildSpec{ID: "a", Start: func(context.Context) (Child, error) {
			c := new(still)
			if starts.Add(1) < 3 {
				c.ends(Reason{Kind: Crash, Err: errBoom})
			}
			return c, nil
		}})
		l.wantChildren(s, "a:running")
		if n := starts.Load(); n != 3 {
			t.Errorf("%d starts", n)
		}
	})
}

// A Notifier that breaks its contract and tells twice is counted once.
func TestNotifierThatTellsTwice(t *testing.T) {
	bubble(t, func(l *lab) {
		var all []*still
		s := l.sup(Flags{Intensity: 1}, ChildSpec{ID: "a", Restart: Temporary, Start: func(context.Context) (Child, error) {
			all = append(all, new(still))
			return all[len(all)-1], nil
		}}, ChildSpec{ID: "b", Start: newStill})
		synctest.Wait()
		all[0].f()
		all[0].f()
		l.wantChildren(s, "b:running")
		l.wantAlive(s)
	})
}

// What a released supervisor is told is nobody's business any more.
func TestNotifierOfAReleasedSupervisor(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 5}, ChildSpec{ID: "a", Start: newStill})
		inner, err := Start(bg, Flags{}, []ChildSpec{{ID: "b", Start: newStill}}, Options{})
		l.ok(err)
		l.ok(s.StartChild(bg, ChildSpec{ID: "n", Supervisor: true, Start: func(context.Context) (Child, error) { return inner, nil }}))
		a, b := s.Children()[0].Child.(*still), inner.Children()[0].Child.(*still)
		s.Release()
		for _, c := range []*still{a, b} {
			if c.end {
				t.Error("ended by a release")
			}
			c.ends(Reason{Kind: Crash})
		}
		l.wantErr(inner.StartChild(bg, l.spec("x")), ErrReleased)
		if n := len(s.box.items); n != 0 {
			t.Errorf("%d inputs in the mailbox of a released supervisor", n)
		}
	})
}

// A child that comes out of a start after the release is released too.
func TestReleaseDuringStart(t *testing.T) {
	bubble(t, func(l *lab) {
		inner := l.sup(Flags{}, l.spec("x"))
		s := l.sup(Flags{})
		go func() {
			_ = s.StartChild(bg, ChildSpec{ID: "n", Start: func(ctx context.Context) (Child, error) {
				<-ctx.Done()
				return inner, nil
			}})
		}()
		synctest.Wait()
		s.Release()
		l.wantErr(inner.StartChild(bg, l.spec("y")), ErrReleased)
		l.unit("x").end(Reason{})
	})
}

// A Supervisor tells of its own end.
func TestSupervisorIsANotifier(t *testing.T) {
	bubble(t, func(l *lab) {
		var _, _, _ Notifier = (*Supervisor)(nil), (*Dynamic)(nil), (*still)(nil)
		s := l.sup(Flags{}, l.spec("a"))
		var told atomic.Int32
		s.Notify(func() {
			select {
			case <-s.Done():
			default:
				t.Error("told before Done")
			}
			told.Add(1)
		})
		l.ok(s.Stop(bg))
		synctest.Wait()
		s.Notify(func() { told.Add(1) })
		if n := told.Load(); n != 2 {
			t.Errorf("told %d times", n)
		}
	})
}

// A shutdown longer than the clock can count is no shutdown at once.
func TestShutdownBeyondTime(t *testing.T) {
	bubble(t, func(l *lab) {
		l.grace["a"] = never
		s := l.sup(Flags{}, l.spec("a", stopIn(1<<63-1)))
		time.Sleep(time.Hour)
		s.Shutdown()
		l.want("start a, stop a")
		l.wantChildren(s, "a:stopping")
	})
}
