package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func until(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func TestServeReasons(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(context.Context) error
		kind  ReasonKind
		err   error
	}{
		"nil":          {func(context.Context) error { return nil }, Normal, nil},
		"error":        {func(context.Context) error { return errBoom }, Crash, errBoom},
		"own canceled": {func(context.Context) error { return context.Canceled }, Crash, context.Canceled},
		"panic":        {func(context.Context) error { panic(errBoom) }, Crash, errBoom},
		"goexit":       {func(context.Context) error { runtime.Goexit(); return nil }, Crash, ErrGoexit},
		"asked":        {until, Shutdown, nil},
		"asked, nil":   {func(ctx context.Context) error { <-ctx.Done(); return nil }, Normal, nil},
		"asked, error": {func(ctx context.Context) error { <-ctx.Done(); return errBoom }, Shutdown, errBoom},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(l *lab) {
				child, err := Serve(c.serve)(bg)
				l.ok(err)
				synctest.Wait()
				if strings.HasPrefix(name, "asked") {
					child.Shutdown()
					child.Shutdown()
				}
				<-child.Done()
				if r := child.Reason(); r.Kind != c.kind || !errors.Is(r.Err, c.err) {
					t.Errorf("ended for %v, want %v: %v", r, c.kind, c.err)
				}
			})
		})
	}
}

func TestServePanicHasItsStack(t *testing.T) {
	t.Parallel()
	child, _ := Serve(func(context.Context) error { panicking(); return nil })(bg)
	<-child.Done()
	var p *PanicError
	if !errors.As(child.Reason().Err, &p) || p.Value != "oh" || !strings.Contains(string(p.Stack), "panicking") {
		t.Errorf("%v", child.Reason())
	}
	if want := "panic: oh"; p.Error() != want {
		t.Errorf("%q", p)
	}
	err := (&loop{}).failure(panicking2)
	if !errors.As(err, &p) || !strings.Contains(string(p.Stack), "panicking2") {
		t.Errorf("a start: %v", err)
	}
}

func panicking()                                      { panic("oh") }
func panicking2(context.Context) (c Child, err error) { panic("oh") }

// failure is what a start that fails comes to.
func (l *loop) failure(start StartFunc) error {
	l.box.wake = make(chan struct{}, 1)
	l.works.Add(1)
	l.live(&Starting{l: l, kid: &kid{}, n: 1}, start)
	return l.box.items[0].(answered).err
}

type suture struct{ served chan struct{} }

func (s *suture) Serve(ctx context.Context) error {
	s.served <- struct{}{}
	return errBoom
}

func TestServeService(t *testing.T) {
	bubble(t, func(l *lab) {
		service := &suture{served: make(chan struct{}, 9)}
		s := l.sup(Flags{Intensity: 3}, ChildSpec{ID: "a", Start: ServeService(service)})
		<-s.Done()
		if n := len(service.served); n != 4 {
			t.Errorf("served %d times", n)
		}
		l.wantErr(s.Reason().Err, ErrIntensity)
		for name, start := range map[string]StartFunc{"a": Serve(nil), "b": ServeService(nil), "c": ServeReady(nil)} {
			_, err := Start(bg, Flags{}, []ChildSpec{{ID: name, Start: start}}, Options{})
			l.wantErr(err, ErrInvalid)
		}
	})
}

func TestServeValuesButNotTheEndOfTheContext(t *testing.T) {
	bubble(t, func(l *lab) {
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(bg, key{}, "v"))
		child, _ := Serve(func(ctx context.Context) error {
			if ctx.Value(key{}) != "v" {
				t.Error("the values are lost")
			}
			return until(ctx)
		})(ctx)
		cancel()
		synctest.Wait()
		select {
		case <-child.Done():
			t.Error("ended with the context of its start")
		default:
		}
		child.Shutdown()
	})
}

func TestServeReady(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(context.Context, func()) error
		want  string // the state, or the error
	}{
		"ready": {func(ctx context.Context, ready func()) error {
			time.Sleep(time.Hour)
			ready()
			ready()
			return until(ctx)
		}, "a:running"},
		"error":          {func(context.Context, func()) error { return errNope }, "start a: nope"},
		"nil":            {func(context.Context, func()) error { return nil }, "start a: it returned before it was ready; call ready once it serves, or return ErrIgnore"},
		"panic":          {func(context.Context, func()) error { panic("oh") }, "start a: panic: oh"},
		"ignore":         {func(context.Context, func()) error { return ErrIgnore }, "a:undefined"},
		"ready and done": {func(_ context.Context, ready func()) error { ready(); return nil }, "a:undefined"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(l *lab) {
				s, err := Start(bg, Flags{}, []ChildSpec{{ID: "a", Restart: Transient, Start: ServeReady(c.serve)}}, Options{})
				if err != nil {
					if err.Error() != c.want {
						t.Errorf("error %q, want %q", err, c.want)
					}
					return
				}
				l.wantChildren(s, c.want)
				l.ok(s.Stop(bg))
			})
		})
	}
}

func TestServeReadyIsCancelled(t *testing.T) {
	bubble(t, func(l *lab) {
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		_, err := Start(ctx, Flags{}, []ChildSpec{{ID: "a", Start: ServeReady(
			func(ctx context.Context, _ func()) error { return until(ctx) })}}, Options{})
		l.wantErr(err, context.DeadlineExceeded)
		_, err = ServeReady(func(ctx context.Context, ready func()) error { <-ctx.Done(); ready(); return nil })(ctx)
		l.ok(err) // it was ready after all; the supervisor stops it
	})
}

// A service that heeds nothing is killed, listed until it returns, and does not keep its successor from starting.
func TestAbandoned(t *testing.T) {
	bubble(t, func(l *lab) {
		leave := make(chan struct{})
		stubborn := Serve(func(ctx context.Context) error { <-leave; return nil })
		s := l.sup(Flags{Intensity: 9}, ChildSpec{ID: "a", Start: stubborn, Shutdown: time.Second})
		began := time.Now()
		for i := range 3 {
			l.ok(s.TerminateChild(bg, "a"))
			l.ok(s.RestartChild(bg, "a"))
			if n := len(s.Abandoned()); n != i+1 {
				t.Errorf("%d abandoned, want %d", n, i+1)
			}
		}
		s.Children()[0].Child.Kill() // by another hand: restarted, and listed as well
		l.wantChildren(s, "a:running")
		list := s.Abandoned()
		if len(list) != 4 || list[0] != (Abandoned{Path: "a", Since: began.Add(time.Second)}) {
			t.Errorf("%+v", list)
		}
		l.ok(s.Stop(bg))
		if n := len(s.Abandoned()); n != 5 {
			t.Errorf("%d abandoned after the end", n)
		}
		close(leave)
		synctest.Wait()
		if list := s.Abandoned(); list != nil {
			t.Errorf("%+v after they returned", list)
		}
	})
}

func TestAbandonedBelow(t *testing.T) {
	bubble(t, func(l *lab) {
		leave := make(chan struct{})
		inner := l.nested("inner", Flags{}, ChildSpec{ID: "deaf", Shutdown: Brutal, Start: Serve(func(context.Context) error {
			<-leave
			return nil
		})}, l.spec("x"))
		s := l.sup(Flags{Intensity: 1}, inner)
		s.Children()[0].Child.(*Supervisor).Children()[0].Child.Kill() // ends inner, whose intensity is 0
		l.wantChildren(s, "inner:running")
		paths := func() (all []string) {
			for _, a := range s.Abandoned() {
				all = append(all, a.Path)
			}
			return all
		}
		if got := paths(); !slices.Equal(got, []string{"inner/deaf"}) {
			t.Errorf("of the one before: %q", got)
		}
		l.ok(s.Children()[0].Child.(*Supervisor).TerminateChild(bg, "deaf"))
		if got := paths(); !slices.Equal(got, []string{"inner/deaf", "inner/deaf"}) {
			t.Errorf("and of the one that runs: %q", got)
		}
		l.ok(s.Stop(bg))
		if got := paths(); len(got) != 2 {
			t.Errorf("after the end: %q", got)
		}
		close(leave)
		synctest.Wait()
		if got := paths(); got != nil {
			t.Errorf("after they returned: %q", got)
		}
	})
}

// A crash loop of children that do return in the end keeps none of them.
func TestRemnantsAreSwept(t *testing.T) {
	t.Parallel()
	var r remnants
	for i := range 10_000 {
		gone := make(chan struct{})
		r.add(remnant{name: fmt.Sprint(i), gone: gone})
		if i%10 != 0 {
			close(gone)
		}
	}
	if n := len(r.list()); n != 1000 {
		t.Errorf("%d listed", n)
	}
	if n := cap(r.all); n > 4096 {
		t.Errorf("room for %d kept", n)
	}
}
