package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// fragile is a Server each of whose callbacks can be made to break.
type fragile struct {
	breaks map[string]func() // by callback
	tell   func(Reason)
}

func (f *fragile) at(callback string) error {
	if b := f.breaks[callback]; b != nil {
		b()
	}
	return nil
}

func (f *fragile) Init(*Self[any]) error { return f.at("Init") }
func (f *fragile) Handle(self *Self[any], m any) error {
	if err, ok := m.(error); ok {
		return err
	}
	self.Continue(1)
	return f.at("Handle")
}
func (f *fragile) Info(*Self[any], any) error     { return f.at("Info") }
func (f *fragile) Continue(*Self[any], any) error { return f.at("Continue") }
func (f *fragile) Terminate(_ context.Context, _ *Self[any], r Reason) {
	if f.tell != nil {
		f.tell(r)
	}
	_ = f.at("Terminate")
}

func (f *fragile) Redact(what any) any {
	_ = f.at("Redact")
	return what
}

// Whatever breaks in whichever callback: the process ends, its name is free, its monitors, links and callers are told
// once, its crash is reported once, and nothing of it is left.
func TestAnyCallbackMayBreak(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for how, b := range map[string]func(){"panic": func() { panic(errBoom) }, "goexit": runtime.Goexit} {
			for _, callbacks := range [][]string{{"Handle"}, {"Info"}, {"Continue"}, {"Terminate"}, {"Redact"}, {"Reporter"},
				{"Handle", "Terminate"}, {"Handle", "Redact"}, {"Handle", "Terminate", "Redact", "Reporter"}, {"Info", "Reporter"}} {
				f := &fragile{breaks: map[string]func(){}}
				for _, c := range callbacks {
					f.breaks[c] = b
				}
				breakOne(t, fmt.Sprint(how, callbacks), f)
			}
		}
	})
}

func breakOne(t *testing.T, what string, f *fragile) {
	var reports []CrashReport
	ctx := WithReporter(context.Background(), func(c CrashReport) {
		reports = append(reports, c)
		_ = f.at("Reporter")
	})
	name := NewName[any]("it")
	terminated := 0
	f.tell = func(Reason) { terminated++ }
	a, err := Start[any](ctx, f, Options{Name: name})
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	watcher, got := log(t)
	watcher.s.Monitor(a.PID())
	watcher.s.Link(a.PID())
	if f.breaks["Info"] != nil {
		_ = a.PID().Inform(1)
	} else if f.breaks["Handle"] == nil && f.breaks["Continue"] == nil {
		_ = a.Cast(errBoom)
	}
	var end *ExitError
	if _, err := Call(quiet, a, ask); !errors.As(err, &end) && !errors.Is(err, ErrNoProc) {
		t.Errorf("%s: call: %v", what, err)
	}
	<-a.PID().Gone()
	synctest.Wait()
	r := a.PID().Reason()
	var broken *PanicError
	if r.Kind != Crash || !errors.Is(r.Err, ErrGoexit) && !errors.As(r.Err, &broken) && !errors.Is(r.Err, errBoom) {
		t.Errorf("%s: ended for %v", what, r)
	}
	if len(*got) != 2 || terminated != 1 || len(reports) != 1 || reports[0].Reason != r {
		t.Errorf("%s: told %v, terminated %d times, reports %v", what, *got, terminated, reports)
	}
	if ref, err := name.Resolve(); err == nil {
		t.Errorf("%s: the name leads to %v", what, ref)
	}
	watcher.PID().Kill()
}

// A panicking Redactor or Reporter hides neither the crash nor what is shown besides.
func TestReportSurvivesItsMakers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for how, b := range map[string]func(){"panic": func() { panic("redactor") }, "goexit": runtime.Goexit} {
			var got []CrashReport
			ctx := WithReporter(context.Background(), func(c CrashReport) { got = append(got, c) })
			a, _ := Start[any](ctx, &fragile{breaks: map[string]func(){"Redact": b, "Handle": func() { panic(errBoom) }}}, Options{Label: "it"})
			_ = a.Cast(1)
			<-a.PID().Gone()
			if len(got) != 1 || got[0].Label != "it" || got[0].Stack == "" || !errors.Is(got[0].Reason.Err, errBoom) {
				t.Errorf("%s: %+v", how, got)
			}
		}
	})
}

// A kill wins over everything the callback it comes into does afterwards.
func TestKillDuringACallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for what, after := range map[string]func(self *Self[any]) error{
			"return":   func(*Self[any]) error { return nil },
			"error":    func(*Self[any]) error { return errBoom },
			"stop":     func(*Self[any]) error { return Stop(Reason{}) },
			"panic":    func(*Self[any]) error { panic(errBoom) },
			"goexit":   func(*Self[any]) error { runtime.Goexit(); return nil },
			"continue": func(self *Self[any]) error { self.Continue(1); return nil },
		} {
			reports := 0
			ctx := WithReporter(context.Background(), func(CrashReport) { reports++ })
			gate := make(chan struct{})
			bad := func(r Reason) { t.Errorf("%s: a callback runs after the kill", what) }
			a, _ := Start[any](ctx, &script{
				handle:    func(self *Self[any], m any) error { <-gate; return after(self) },
				cont:      func(*Self[any], any) error { bad(Reason{}); return nil },
				terminate: bad,
			}, Options{})
			_ = a.Cast(1)
			_ = a.Cast(2)
			synctest.Wait()
			a.PID().Kill()
			select {
			case <-a.PID().Gone():
				t.Errorf("%s: gone while the callback runs", what)
			default:
			}
			close(gate)
			<-a.PID().Gone()
			if r := a.PID().Reason(); r.Kind != Killed || r.Err != nil {
				t.Errorf("%s: ended for %v", what, r)
			}
			if want := map[string]int{"panic": 1, "goexit": 1}[what]; reports != want { // a fault is not swept away
				t.Errorf("%s: %d reports", what, reports)
			}
		}
	})
}

// An exit that comes while continues are pending ends the process before them.
func TestExitBetweenContinues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []any
		a := must(t, &script{cont: func(self *Self[any], with any) error {
			got = append(got, with)
			self.PID().Exit(Reason{Kind: Shutdown})
			return nil
		}, handle: func(self *Self[any], _ any) error {
			self.Continue(1)
			self.Continue(2)
			return nil
		}}, Options{})
		_ = a.Cast(1)
		<-a.PID().Done()
		if !slices.Equal(got, []any{1}) || a.PID().Reason().Kind != Shutdown {
			t.Errorf("%v, ended for %v", got, a.PID().Reason())
		}
	})
}

// A From that is given away before its message is sent, and answered, does not answer another call: the waiter of a
// call is used again by the next one.
func TestWaiterIsUsedAgainSafely(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := must(t, &script{}, Options{Mailbox: Mailbox{Limit: 1}})
		gate := make(chan struct{})
		_ = a.Cast(func() { <-gate })
		synctest.Wait()
		_ = a.Cast(1)
		var kept From[int]
		if n, err := Call(quiet, a, func(f From[int]) any { f.Reply(7); return 1 }); n != 7 || err != nil {
			t.Errorf("answered before it is rejected: %d, %v", n, err)
		}
		if _, err := Call(quiet, a, func(f From[int]) any { kept = f; return 1 }); err != ErrMailboxFull {
			t.Errorf("rejected: %v", err)
		}
		if kept.Reply(8) || kept.Waiting() {
			t.Error("the call that was rejected takes an answer")
		}
		close(gate)
		synctest.Wait()
		if n, err := Call(quiet, a, ask); n != 42 || err != nil {
			t.Errorf("the next call: %d, %v", n, err)
		}
		a.PID().Kill()
		if n, err := Call(quiet, a, func(f From[int]) any { f.Reply(9); return 1 }); n != 9 || err != nil {
			t.Errorf("answered by its own caller, though the process has ended: %d, %v", n, err)
		}
	})
}

// The Timeout comes when nothing has come, and each thing that comes takes it back.
func TestTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		s := &script{info: func(_ *Self[any], i any) error {
			if _, ok := i.(Timeout); ok {
				at = append(at, time.Since(began))
			}
			return nil
		}, handle: func(self *Self[any], m any) error { self.Timeout(m.(time.Duration)); return nil }}
		s.init = func(self *Self[any]) error { self.Timeout(time.Second); return nil }
		a := must(t, s, Options{})
		time.Sleep(2 * time.Second)
		_ = a.Cast(time.Second)
		time.Sleep(time.Second / 2)
		_ = a.Cast(time.Second) // the one before is off
		time.Sleep(time.Second / 2)
		_ = a.PID().Inform("news") // and this takes it back
		time.Sleep(2 * time.Second)
		_ = a.Cast(time.Second)
		_ = a.Cast(time.Duration(0))
		time.Sleep(2 * time.Second)
		_ = a.Cast(time.Second)
		synctest.Wait()
		gate := make(chan struct{})
		_ = a.Cast(func() { <-gate }) // it takes it back, however long it takes
		time.Sleep(2 * time.Second)
		close(gate)
		time.Sleep(2 * time.Second)
		_ = a.Cast(time.Hour)
		synctest.Wait()
		a.PID().Kill() // and this as well
		if !slices.Equal(at, []time.Duration{time.Second}) {
			t.Errorf("%v", at)
		}
	})
}

func TestAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []any
		a := must(t, &script{handle: func(_ *Self[any], m any) error { got = append(got, m); return nil }}, Options{})
		in(t, a, func(self *Self[any]) {
			self.After(2*time.Second, "late")
			self.After(time.Second, "early")
			if !self.After(time.Second, "never").Stop() {
				t.Error("the timer has fired")
			}
		})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !slices.Equal(got, []any{"early", "late"}) {
			t.Errorf("%v", got)
		}
		a.PID().Kill()
	})
}
