package actor

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

	"semper/supervise"
)

// The scenarios are those of OTP's gen_server_SUITE and proc_lib_SUITE, by their numbers in otp.md.

var errBoom = errors.New("boom")

// must is a process that starts.
func must(t testing.TB, server Server[any], o Options) Ref[any] {
	t.Helper()
	ref, err := Start(quiet, server, o)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestScenario089Start(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := NewName[any]("it")
		a := must(t, &script{}, Options{Name: name})
		if r, err := name.Resolve(); r != a || err != nil {
			t.Errorf("the name leads to %v, %v", r, err)
		}
		var taken *AlreadyStartedError
		if _, err := Start[any](quiet, &script{}, Options{Name: name}); !errors.Is(err, ErrAlreadyStarted) || !errors.As(err, &taken) || taken.PID != a.PID() {
			t.Errorf("a second of the name: %v", err)
		}
		_ = a.Cast(Stop(Reason{}))
		<-a.PID().Done()

		for what, c := range map[string]struct {
			init func(*Self[any]) error
			is   error
			kind supervise.ReasonKind
		}{
			"ignore": {func(*Self[any]) error { return ErrIgnore }, ErrIgnore, Normal},
			"error":  {func(*Self[any]) error { return errBoom }, errBoom, Crash},
			"stop":   {func(*Self[any]) error { return Stop(Reason{Kind: Shutdown}) }, nil, Shutdown},
			"panic":  {func(*Self[any]) error { panic(errBoom) }, nil, Crash},
			"exit":   {func(*Self[any]) error { runtime.Goexit(); return nil }, ErrGoexit, Crash},
		} {
			var self PID
			asked := time.Now()
			_, err := Start[any](quiet, &script{init: func(s *Self[any]) error {
				self = s.PID()
				s.Timeout(time.Hour)
				return c.init(s)
			}, terminate: func(r Reason) { t.Errorf("%s: Terminate for %v", what, r) }}, Options{Name: name})
			if err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%s: %v", what, err)
			}
			if r, err := name.Resolve(); !errors.Is(err, ErrNoProc) {
				t.Errorf("%s: the name leads to %v", what, r)
			}
			if self.Alive() || self.Reason().Kind != c.kind || self.Info().Status != StatusEnded {
				t.Errorf("%s: ended for %v, %+v", what, self.Reason(), self.Info())
			}
			<-self.Gone()
			if !time.Now().Equal(asked) {
				t.Errorf("%s took %v", what, time.Since(asked))
			}
		}
	})
}

// A start with Link fails without harm to its parent; one that succeeds ends with it, and the other way round.
func TestScenario089StartLink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		parent := must(t, &script{}, Options{})
		var first, second Ref[any]
		in(t, parent, func(self *Self[any]) {
			if _, err := Start[any](self, &script{init: func(*Self[any]) error { return errBoom }}, Options{Link: true}); err != errBoom {
				t.Errorf("%v", err)
			}
			first, _ = Start[any](self, &script{}, Options{Link: true})
			second, _ = Start[any](context.WithValue(self, selfKey2{}, 1), &script{}, Options{Link: true, TrapExit: true})
		})
		if !parent.PID().Alive() {
			t.Fatal("the parent ended with a child that was never born")
		}
		_ = second.Cast(Stop(Reason{}))
		synctest.Wait()
		if second.PID().Alive() || !parent.PID().Alive() || !first.PID().Alive() {
			t.Error("a child that ends normally takes something with it")
		}
		_ = parent.Cast(errBoom)
		synctest.Wait()
		if r := first.PID().Reason(); first.PID().Alive() || !errors.Is(r.Err, errBoom) {
			t.Errorf("the child outlives its parent, or ended for %v", r)
		}
	})
}

type selfKey2 struct{}

// in runs f in a callback of the process, and returns when it has.
func in(t testing.TB, ref Ref[any], f func(*Self[any])) {
	t.Helper()
	done := make(chan struct{})
	if err := ref.Cast(func() { defer close(done); f(ref.s) }); err != nil {
		t.Fatal(err)
	}
	<-done
}

func TestScenario090Stop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var ended Reason
		server := func() *script { return &script{terminate: func(r Reason) { ended = r }} }
		for _, r := range []Reason{{}, {Kind: Shutdown}, {Kind: Shutdown, Err: errBoom}, {Kind: Crash, Err: errBoom}} {
			a := must(t, server(), Options{})
			_ = a.Cast(fmt.Errorf("on the way out: %w", Stop(r)))
			<-a.PID().Done()
			if ended != r || a.PID().Reason() != r {
				t.Errorf("Stop(%v): Terminate for %v, ended for %v", r, ended, a.PID().Reason())
			}
			a = must(t, server(), Options{})
			a.PID().Exit(r)
			synctest.Wait()
			if a.PID().Alive() != (r.Kind == Normal) {
				t.Errorf("Exit(%v): alive is %v", r, a.PID().Alive())
			}
			a.PID().Kill()
		}
		a := must(t, server(), Options{TrapExit: true})
		if err := a.PID().Shutdown(quiet); err != nil || ended.Kind != Shutdown {
			t.Errorf("shutdown: %v, for %v", err, ended)
		}
		if err := a.PID().Shutdown(quiet); err != nil {
			t.Errorf("shutdown of the dead: %v", err)
		}
		if err := (PID{}).Shutdown(quiet); !errors.Is(err, ErrNoProc) {
			t.Errorf("shutdown of nobody: %v", err)
		}
	})
}

func TestScenario090StopInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := must(t, &script{terminate: func(Reason) { time.Sleep(time.Minute) }}, Options{})
		ctx, cancel := context.WithTimeout(quiet, time.Second)
		defer cancel()
		began := time.Now()
		if err := a.PID().Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := a.PID().Shutdown(quiet); err != nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// Only abnormal ends are reported, and of those not a Kill: nothing of the process is left to report.
func TestScenario091Crash(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var reports []CrashReport
		ctx := WithReporter(context.Background(), func(c CrashReport) { reports = append(reports, c) })
		for what, c := range map[string]struct {
			do   func(Ref[any])
			want int
		}{
			"normal":              {func(a Ref[any]) { _ = a.Cast(Stop(Reason{})) }, 0},
			"shutdown":            {func(a Ref[any]) { _ = a.Cast(Stop(Reason{Kind: Shutdown})) }, 0},
			"shutdown with cause": {func(a Ref[any]) { _ = a.Cast(Stop(Reason{Kind: Shutdown, Err: errBoom})) }, 0},
			"asked to shut down":  {func(a Ref[any]) { _ = a.PID().Shutdown(ctx) }, 0},
			"killed":              {func(a Ref[any]) { a.PID().Kill() }, 0},
			"stop for a crash":    {func(a Ref[any]) { _ = a.Cast(Stop(Reason{Kind: Crash, Err: errBoom})) }, 1},
			"error":               {func(a Ref[any]) { _ = a.Cast(errBoom) }, 1},
			"panic":               {func(a Ref[any]) { _ = a.Cast(func() { panic(1) }) }, 1},
			"goroutine ended":     {func(a Ref[any]) { _ = a.Cast(runtime.Goexit) }, 1},
			"exit signal":         {func(a Ref[any]) { a.PID().Exit(Reason{Kind: Crash, Err: errBoom}) }, 0}, // a crash of another
			"panic on the way": {func(a Ref[any]) {
				a.s.server.(*script).terminate = func(Reason) { panic(1) }
				_ = a.PID().Shutdown(ctx)
			}, 1},
		} {
			reports = nil
			a, err := Start[any](ctx, &script{}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			c.do(a)
			<-a.PID().Gone()
			if len(reports) != c.want {
				t.Errorf("%s: %d reports", what, len(reports))
			}
		}
	})
}

// hold keeps the From it gets.
type hold struct{ from chan From[int] }

func (h *hold) Handle(_ *Self[any], m any) error {
	switch m := m.(type) {
	case From[int]:
		h.from <- m
	case error:
		return m
	}
	return nil
}

func TestScenario092Call(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := &hold{from: make(chan From[int], 1)}
		a := must(t, h, Options{})
		go func() { // the reply comes long after the handler has returned, from elsewhere
			from := <-h.from
			time.Sleep(time.Minute)
			if i := a.PID().Info(); i.OpenCalls != 1 || i.Status != StatusIdle {
				t.Errorf("%+v", i)
			}
			if !from.Waiting() || !from.Reply(7) || from.Reply(8) || from.Fail(errBoom) || from.Waiting() {
				t.Error("a call is not answered exactly once")
			}
		}()
		if n, err := Call(quiet, a, ask); n != 7 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if i := a.PID().Info(); i.OpenCalls != 0 {
			t.Errorf("%d open calls", i.OpenCalls)
		}
		ctx, cancel := context.WithTimeoutCause(quiet, time.Second, errBoom)
		defer cancel()
		if _, err := Call(ctx, a, ask); err != nil && !errors.Is(err, errBoom) || err == nil {
			t.Errorf("timeout: %v", err)
		}
		if i := a.PID().Info(); i.OpenCalls != 0 {
			t.Errorf("%d open calls after a timeout", i.OpenCalls)
		}
		if from := <-h.from; from.Waiting() || from.Reply(9) {
			t.Error("a late reply finds somebody")
		}
		go func() { (<-h.from).Fail(errBoom) }()
		if _, err := Call(quiet, a, ask); err != errBoom {
			t.Errorf("failed by the server: %v", err)
		}
		go func() { (<-h.from).Fail(nil) }()
		if _, err := Call(quiet, a, ask); !errors.Is(err, ErrInvalid) {
			t.Errorf("failed without an error: %v", err)
		}
		go func() { <-h.from; _ = a.Cast(errBoom) }()
		var end *ExitError
		if _, err := Call(quiet, a, ask); !errors.As(err, &end) || !errors.Is(err, errBoom) || end.PID != a.PID() {
			t.Errorf("ended by a later message: %v", err)
		}
	})
}

func TestScenario093CallingSelf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := NewName[any]("it")
		a := must(t, &script{}, Options{Name: name})
		calls := func(ctx context.Context) (errs []error) {
			_, err := Call(ctx, a, ask)
			_, byName := Call(ctx, name, ask)
			return append(errs, err, byName, a.PID().Suspend(ctx), a.PID().State(ctx, func(any) {}), a.PID().Shutdown(ctx))
		}
		in(t, a, func(self *Self[any]) {
			ctx, cancel := context.WithTimeout(context.WithValue(self, selfKey2{}, 1), time.Hour)
			defer cancel()
			for i, err := range append(calls(self), calls(ctx)...) {
				if !errors.Is(err, ErrCallingSelf) {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
		if n, err := Call(quiet, a, ask); n != 42 || err != nil {
			t.Errorf("afterwards: %d, %v", n, err)
		}
		a.PID().Kill()
		// A child is another process, though its context comes from that of its parent.
		b := must(t, &script{}, Options{})
		in(t, b, func(self *Self[any]) {
			c, err := Start[any](self, &script{}, Options{Link: true})
			if err != nil {
				t.Error(err)
			}
			if n, err := Call(self, c, ask); n != 42 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		})
		b.PID().Exit(Reason{Kind: Shutdown})
	})
}

// The context of Terminate makes calls possible, and calls to itself are still found out.
func TestTerminateCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		other := must(t, &script{}, Options{})
		var a Ref[any]
		var got int
		var err, self error
		a = must(t, &final{func(ctx context.Context) {
			got, err = Call(ctx, other, ask)
			_, self = Call(ctx, a, ask)
		}}, Options{})
		a.PID().Exit(Reason{Kind: Shutdown})
		<-a.PID().Done()
		if got != 42 || err != nil || !errors.Is(self, ErrCallingSelf) {
			t.Errorf("%d, %v; itself: %v", got, err, self)
		}
		other.PID().Kill()
	})
}

// final is a Server with a Terminate that uses its context.
type final struct{ f func(context.Context) }

func (l *final) Handle(*Self[any], any) error                          { return nil }
func (l *final) Terminate(ctx context.Context, _ *Self[any], _ Reason) { l.f(ctx) }

func TestScenario094CastFast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		a := must(t, &script{}, Options{})
		_ = a.Cast(func() { <-gate })
		began := time.Now()
		for i := range 10_000 {
			if err := a.Cast(i); err != nil {
				t.Fatal(err)
			}
		}
		a.PID().Kill()
		if err := a.Cast(1); err != ErrNoProc || !time.Now().Equal(began) {
			t.Errorf("to the dead: %v, after %v", err, time.Since(began))
		}
		close(gate)
	})
}

func TestScenario095Continue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []string
		s := &script{
			init: func(self *Self[any]) error {
				_ = self.Ref().Cast("m1")
				self.Continue("c1")
				return nil
			},
			handle: func(self *Self[any], m any) error {
				got = append(got, m.(string))
				if m == "m1" {
					self.Continue("c4")
					self.Continue("c5")
				}
				return nil
			},
			cont: func(self *Self[any], with any) error {
				got = append(got, with.(string))
				switch with {
				case "c1": // chained, and before anything in the mailbox
					self.Continue("c2")
					self.Continue("c3")
				case "c5":
					return Stop(Reason{Kind: Shutdown})
				}
				return nil
			},
		}
		a := must(t, s, Options{})
		_ = a.Cast("m2")
		<-a.PID().Done()
		if want := []string{"c1", "c2", "c3", "m1", "c4", "c5"}; !slices.Equal(got, want) {
			t.Errorf("%s", strings.Join(got, " "))
		}
	})
}
