package observer

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
)

func TestProcessShowsItsStateThroughTheRedactor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, err := actor.Start[any](actor.Under(quiet, "shop"), &discreet{worker{Secret: "hunter2"}}, actor.Options{Label: "vault", TrapExit: true})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := actor.Start[any](quiet, &worker{Secret: "open"}, actor.Options{Label: "b"})
		_ = a.Cast(1)
		synctest.Wait()
		p, err := Process(quiet, a.PID())
		if err != nil || p.State != "{worker:{Secret:*** Count:1}}" || p.StateError != "" || p.PID != pidText(a.PID()) || p.Label != "vault" ||
			p.Path != "shop/vault" || p.Status != actor.StatusIdle || p.Messages != 1 || !p.TrapExit || p.Since.IsZero() {
			t.Errorf("%+v, %v", p, err)
		}
		if p, _ := Process(quiet, b.PID()); !strings.Contains(p.State, "open") {
			t.Errorf("without a Redactor: %+v", p)
		}
		a.PID().Kill()
		b.PID().Kill()
		if p, err := Process(quiet, a.PID()); err != nil || p.Status != actor.StatusEnded || p.Reason != "killed" || p.State != "" || p.StateError == "" {
			t.Errorf("of the dead: %+v, %v", p, err)
		}
		if _, err := Process(quiet, actor.PID{}); !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("of nobody: %v", err)
		}
	})
}

func TestProcessTellsOfOneThatIsStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _ := actor.Start[any](quiet, &worker{}, actor.Options{})
		gate := make(chan struct{})
		_ = a.Cast(func() { <-gate })
		_ = a.Cast(1)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(quiet, time.Second)
		defer cancel()
		p, err := Process(ctx, a.PID())
		if err != nil || p.Status != actor.StatusBusy || p.Mailbox != 1 || !strings.Contains(p.StateError, "in a callback") {
			t.Errorf("%+v, %v", p, err)
		}
		close(gate)
		synctest.Wait()
		a.PID().Kill()
	})
}

func TestTextsAreCut(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "abcde": "abcde", "abcdef": "abcde… (6 bytes)", "abcdé": "abcd… (6 bytes)", "ééé": "éé… (6 bytes)"} {
		if got := cut(in, 5); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestPIDsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]uint64{"<17>": 17, "<17 a b>": 17, "17": 17, "": 0, "<>": 0, "<0>": 0, "<17": 0, "17>": 0, "<-1>": 0, "<x>": 0, "<99999999999999999999>": 0} {
		if got, err := pidNumber(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	n := Node{
		ID: "shop", Kind: Supervisor, State: "running", Strategy: "one_for_one", Intensity: 3, Period: 5 * time.Second, Window: 1,
		Children: []Node{
			{ID: "cart", Kind: Actor, PID: "<17>", State: "running", Status: "busy", Mailbox: 3, Messages: 812, Restarts: 1, Last: "crash: panic: boom\nat \x1b[31mred"},
			{ID: "jobs", Kind: Supervisor, Label: "work", State: "stopping", Strategy: "simple_one_for_one", Period: time.Minute, Blocking: []string{"a", "b"}, More: 4120,
				Children: []Node{{ID: "import", Kind: Actor, PID: "<23>", State: "running", Status: "idle", Dropped: 2, Links: 1}}},
			{ID: "listener", Kind: Service, State: "backoff", Restarts: 12, Last: "start: no"},
			{ID: "off", Kind: Child, State: "undefined", Last: "normal"},
		},
		Abandoned: []Abandoned{{Path: "jobs/old", Since: time.Date(2026, 11, 21, 5, 6, 4, 0, time.UTC)}},
	}
	want := `shop  supervisor one_for_one, 1 of 3 restarts in 5s
├─ cart <17>  busy, 3 waiting, 812 handled, 1 restart (crash: panic: boom at [31mred)
├─ jobs (work)  supervisor simple_one_for_one, 0 of 0 restarts in 1m0s, stopping, waits for a b
│  ├─ import <23>  idle, 2 dropped, 1 linked
│  └─ 4120 more
├─ listener  service, backoff, 12 restarts (start: no)
└─ off  child, undefined, (normal)
abandoned since 2026-11-21T05:06:04Z: jobs/old
`
	var b bytes.Buffer
	if err := Print(&b, n); err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
	if err := Print(broken{}, n); err == nil {
		t.Error("a writer's error is lost")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }
