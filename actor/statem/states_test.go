package statem_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/actor/statem"
)

// safe is the data of a machine made by a table.
type safe struct {
	Code   string
	opened int
}

func (s *safe) Init(t *statem.Turn[string, any]) error {
	if s.Code == "" {
		return actor.ErrIgnore
	}
	if s.Code == "open" {
		t.Goto("open")
	}
	return nil
}

func (s *safe) closed(t *statem.Turn[string, any], m any) error {
	switch m {
	case s.Code:
		t.Goto("open")
	case "break":
		t.Goto("broken") // no such state
	default:
		t.Postpone()
	}
	return nil
}

func (s *safe) enterOpen(t *statem.Turn[string, any], _ string) error {
	s.opened++
	t.StateTimeout(time.Minute, "close")
	return nil
}

func (s *safe) open(t *statem.Turn[string, any], m any) error {
	switch m := m.(type) {
	case actor.From[string]:
		m.Reply("gold")
	case string:
		t.Goto("closed")
	}
	return nil
}

func (s *safe) news(t *statem.Turn[string, any], _ any) error {
	t.Goto("closed")
	return nil
}

// Redact hides the code wherever it may stand.
func (s *safe) Redact(what any) any {
	if what == any(s) {
		return struct{ Opened int }{s.opened}
	}
	return "…"
}

var safes = statem.States[*safe, string, any]{
	"closed": {Handle: (*safe).closed},
	"open":   {Enter: (*safe).enterOpen, Handle: (*safe).open},
	"sealed": {Info: (*safe).news},
}

func startSafe(ctx context.Context, state, code string) (actor.Ref[any], error) {
	return statem.Start(ctx, state, safes.With(&safe{Code: code}), actor.Options{})
}

func TestTableOfStates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ref, err := startSafe(quiet, "closed", "4711")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { _ = ref.Cast("4711") })
		if got, err := actor.Call(quiet, ref, where); got != "gold" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if shot, err := statem.Inspect[string](quiet, ref.PID()); err != nil || shot.State != "open" ||
			len(shot.Timeouts) != 1 || shot.Data != "{Opened:1}" {
			t.Errorf("%+v, %v", shot, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if shot, _ := statem.Inspect[string](quiet, ref.PID()); shot.State != "closed" || len(shot.Timeouts) != 0 {
			t.Errorf("%+v", shot)
		}
		_ = ref.Cast("break")
		<-ref.PID().Done()
		if r := ref.PID().Reason(); !errors.Is(r.Err, actor.ErrInvalid) || !strings.Contains(r.Err.Error(), "broken") {
			t.Errorf("a state that is not in the table: %v", r)
		}
	})
}

func TestTableWithoutHandle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ref, _ := startSafe(quiet, "closed", "4711")
		_ = ref.PID().Inform("dropped")
		if _, err := statem.Inspect[string](quiet, ref.PID()); err != nil {
			t.Errorf("after an info without a function for it: %v", err)
		}
		ref.PID().Kill()
		ref, _ = startSafe(quiet, "sealed", "4711")
		_ = ref.PID().Inform("unsealed")
		synctest.Wait()
		if shot, err := statem.Inspect[string](quiet, ref.PID()); shot.State != "closed" {
			t.Errorf("%+v, %v", shot, err)
		}
		ref.PID().Kill()
		ref, _ = startSafe(quiet, "sealed", "4711")
		_ = ref.Cast("knock")
		<-ref.PID().Done()
		if r := ref.PID().Reason(); !errors.Is(r.Err, statem.ErrUnhandled) {
			t.Errorf("%v", r)
		}
	})
}

func TestInitSaysWhereToBegin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ref, err := startSafe(quiet, "closed", "open")
		if err != nil {
			t.Fatal(err)
		}
		if shot, _ := statem.Inspect[string](quiet, ref.PID()); shot.State != "open" || shot.Data != "{Opened:1}" {
			t.Errorf("%+v", shot)
		}
		ref.PID().Kill()
		if _, err := startSafe(quiet, "closed", ""); !errors.Is(err, actor.ErrIgnore) {
			t.Errorf("%v", err)
		}
	})
}

func TestCrashReportIsRedacted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []actor.CrashReport
		ctx := actor.WithReporter(quiet, func(c actor.CrashReport) { got = append(got, c) })
		ref, _ := startSafe(ctx, "closed", "4711")
		_ = ref.Cast("4712")
		_ = ref.Cast("break")
		<-ref.PID().Done()
		if len(got) != 1 {
			t.Fatalf("%d reports", len(got))
		}
		c := got[0]
		want := "state broken; handling: message …; next: message …; data {Opened:0}"
		if c.State != want || c.LastMessage != "…" || c.Label != "*statem_test.safe" {
			t.Errorf("report of %s: state %q, want %q; last message %q", c.Label, c.State, want, c.LastMessage)
		}
	})
}
