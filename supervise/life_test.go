package supervise

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStopDuringStart(t *testing.T) {
	for _, strategy := range []Strategy{OneForOne, RestForOne} {
		t.Run(strategy.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				s := l.sup(Flags{Strategy: strategy, Intensity: 9}, l.specs("a b c")...)
				l.set(func() { l.hangs["b"] = true })
				l.crash("b")
				l.take()
				l.ok(s.Stop(bg))
				want := []string{"cancel b", "stop a"}
				if strategy == OneForOne {
					want = []string{"cancel b", "stop a", "stop c"}
				}
				got := strings.Split(l.take(), ", ")
				if last := got[len(got)-1]; last != "stop a" {
					t.Errorf("%s came last", last)
				}
				slices.Sort(got) // the cancel and the first stop are concurrent
				if !slices.Equal(got, want) {
					t.Errorf("%q, want %q", got, want)
				}
				l.wantEnded(s, Shutdown, nil)
			})
		})
	}
}

func TestStartContext(t *testing.T) {
	bubble(t, func(l *lab) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(bg, key{}, "v"), time.Second)
		defer cancel()
		l.hangs["b"] = true
		a := l.spec("a")
		start := a.Start
		a.Start = func(ctx context.Context) (Child, error) {
			if ctx.Value(key{}) != "v" {
				t.Error("the values of the context are lost")
			}
			return start(ctx)
		}
		_, err := Start(ctx, Flags{Name: "s"}, []ChildSpec{a, l.spec("b")}, Options{})
		l.wantErr(err, context.DeadlineExceeded)
		l.want("start a, cancel b, stop a")

		ctx, cancel = context.WithCancel(bg)
		s, err := Start(ctx, Flags{}, l.specs("c"), Options{})
		l.ok(err)
		cancel()
		l.wantAlive(s)
		l.ok(s.Stop(bg))
	})
}

// TestAStartThatIsOverIsNotBrokenOff: the end of ctx behind the last start does not take it back, whichever is heard of first.
func TestAStartThatIsOverIsNotBrokenOff(t *testing.T) {
	t.Parallel()
	for range 300 {
		ctx, cancel := context.WithCancel(bg)
		runs := 0
		s, err := Start(ctx, Flags{Intensity: 1, Period: time.Second}, []ChildSpec{{ID: "a", Start: Serve(func(ctx context.Context) error {
			if runs++; runs == 1 {
				return errors.New("again") // so that the next run begins behind the start
			}
			cancel()
			<-ctx.Done()
			return nil
		})}}, Options{})
		if err != nil {
			t.Fatalf("start: %v", err)
		}
		if err := s.Stop(bg); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
}

func TestCallContextEndsOnlyTheWaiting(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{})
		l.slow["a"] = time.Minute
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		l.wantErr(s.StartChild(ctx, l.spec("a")), context.DeadlineExceeded)
		time.Sleep(time.Minute)
		l.wantChildren(s, "a:running")
	})
}

// A context that is over, or none at all, is refused before anything happens.
func TestUnusableContext(t *testing.T) {
	bubble(t, func(l *lab) {
		over, cancel := context.WithCancelCause(bg)
		cancel(errBoom)
		for _, c := range []struct {
			ctx  context.Context
			want error
		}{{over, errBoom}, {nil, ErrInvalid}} {
			_, err := Start(c.ctx, Flags{}, l.specs("a"), Options{})
			l.wantErr(err, c.want)
			_, err = StartDynamic(c.ctx, DynamicFlags{}, Options{})
			l.wantErr(err, c.want)
			_, err = StartPartitions(c.ctx, PartitionFlags{}, func(int) ChildSpec { return l.spec("a") }, Options{})
			l.wantErr(err, c.want)
			s, d := l.sup(Flags{}, l.spec("b")), l.dynamic(DynamicFlags{})
			l.wantErr(s.StartChild(c.ctx, l.spec("a")), c.want)
			l.wantErr(s.TerminateChild(c.ctx, "b"), c.want)
			l.wantErr(s.Change(c.ctx, Flags{}, nil), c.want)
			_, err = d.StartChild(c.ctx, l.spec("a"))
			l.wantErr(err, c.want)
			l.wantErr(d.TerminateChild(c.ctx, l.unit("b")), c.want)
			l.want("start b")
			l.ok(s.Stop(bg))
			l.take()
		}
		s := l.sup(Flags{Name: "s"}, l.spec("b"))
		l.wantErr(s.Stop(over), errBoom) // asks all the same
		l.wantEnded(s, Shutdown, nil)
	})
}

func TestStopContextAndBlocking(t *testing.T) {
	bubble(t, func(l *lab) {
		l.grace["x"] = never
		s := l.sup(Flags{Name: "top"}, l.spec("a"), l.nested("n", Flags{}, l.spec("x", stopIn(time.Hour))), l.spec("z"))
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		err := s.Stop(ctx)
		l.wantErr(err, context.DeadlineExceeded)
		if want := "supervisor top is still stopping: context deadline exceeded; waiting for n/x"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		l.wantChildren(s, "a:running n:stopping z:undefined")
		l.ok(s.Stop(bg))
		if who := s.Blocking(); who != nil {
			t.Errorf("blocking: %v", who)
		}
	})
}

func TestKill(t *testing.T) {
	bubble(t, func(l *lab) {
		l.grace["b"], l.grace["x"] = never, never
		s := l.sup(Flags{}, l.spec("a"), l.spec("b", stopIn(Infinity)), l.nested("n", Flags{}, l.spec("x", stopIn(Infinity))))
		s.Shutdown()
		l.wantChildren(s, "a:running b:running n:stopping")
		s.Kill()
		l.wantEnded(s, Killed, nil)
		select {
		case <-l.unit("x").done:
		default:
			t.Error("a grandchild lives")
		}
	})
}

func TestRelease(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 5}, l.spec("a"), l.nested("n", Flags{}, l.spec("x")), l.spec("h"))
		inner := s.Children()[1].Child.(*Supervisor)
		l.set(func() { l.hangs["h"] = true })
		l.crash("h")
		l.take()
		s.Release()
		s.Release()
		l.want("cancel h")
		for _, id := range []string{"a", "x"} {
			select {
			case <-l.unit(id).done:
				t.Errorf("%s ended", id)
			default:
			}
		}
		l.crash("a", "x") // nobody restarts them
		l.want("")
		l.wantErr(s.StartChild(bg, l.spec("b")), ErrReleased)
		l.wantErr(s.Stop(bg), ErrReleased)
		l.wantErr(inner.TerminateChild(bg, "x"), ErrReleased)
		select {
		case <-s.Done():
			t.Error("done, but its children were left running")
		default:
		}
	})
}

// Adoption: a start may return a child that already runs, and after Release the next supervisor does so.
func TestAdoption(t *testing.T) {
	bubble(t, func(l *lab) {
		first := l.sup(Flags{}, l.spec("a"))
		first.Release()
		adopted := false
		spec := l.spec("a", func(s *ChildSpec) {
			start := s.Start
			s.Start = func(ctx context.Context) (Child, error) {
				if !adopted {
					adopted = true
					return l.unit("a"), nil
				}
				return start(ctx)
			}
		})
		s := l.sup(Flags{Intensity: 1}, spec)
		l.want("start a")
		l.crash("a")
		l.want("start a")
		l.wantChildren(s, "a:running")
	})
}

// The observer sees an end before the next incarnation can exist.
func TestObserveBeforeRestart(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 1}, l.spec("a", func(s *ChildSpec) {
			start := s.Start
			s.Start = func(ctx context.Context) (Child, error) {
				l.set(func() {
					if n := len(l.events); n > 0 && l.events[n-1].Kind != Restarting {
						t.Errorf("started before %v was all that was told", l.events)
					}
				})
				return start(ctx)
			}
		}))
		l.crash("a")
		l.wantAlive(s)
		l.wantStory("started a", "ended a", "restarting a", "started a")
	})
}

// A StartFunc that ends its goroutine has failed; nobody hangs.
func TestStartEndsItsGoroutine(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{})
		err := s.StartChild(bg, ChildSpec{ID: "a", Start: func(context.Context) (Child, error) {
			runtime.Goexit()
			return nil, nil
		}})
		var failure *StartError
		if !errors.As(err, &failure) {
			t.Errorf("error %v", err)
		}
	})
}

func TestWords(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		OneForAll.String():      "one_for_all",
		Transient.String():      "transient",
		Persist.String():        "persist",
		StateBackoff.String():   "backoff",
		GaveUp.String():         "gave-up",
		Strategy(9).String():    "strategy(9)",
		ReasonKind(-1).String(): "reason(-1)",
		Reason{Kind: Killed, Err: errBoom, External: true}.String(): "killed: boom (from outside)",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if !errors.Is(&StartError{Err: errNope}, errNope) {
		t.Error("a StartError does not wrap")
	}
}
