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
	"semper/supervise"
)

func TestSnapshotShowsWhatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []actor.CrashReport
		ctx := actor.WithReporter(quiet, func(c actor.CrashReport) { got = append(got, c) })
		s := &waits{}
		ref, err := statem.Start[string, any](ctx, "a", s, actor.Options{Label: "waits"})
		if err != nil {
			t.Fatal(err)
		}
		for range 12 {
			_ = ref.Cast("later")
		}
		synctest.Wait()
		shot, err := statem.Inspect[string](quiet, ref.PID())
		if err != nil || len(shot.Postponed) != 11 || shot.Postponed[10] != "and 2 more" ||
			len(shot.Timeouts) != 2 || shot.Timeouts[0] != "timeout n 1" || shot.Timeouts[1] != "state timeout 2" || shot.Event != "" {
			t.Errorf("%+v, %v", shot, err)
		}
		_ = ref.Cast("boom")
		<-ref.PID().Done()
		if len(got) != 1 || !strings.HasPrefix(got[0].State, "state a; handling: internal first; next: internal second; postponed: message later, ") {
			t.Errorf("%+v", got)
		}
		if _, err := statem.Inspect[string](quiet, ref.PID()); !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("of the dead: %v", err)
		}
	})
}

type waits struct{}

func (waits) Handle(t *turn, m any) error {
	switch m {
	case "later":
		t.Postpone()
		t.Timeout("n", time.Hour, 1)
		t.StateTimeout(time.Hour, 2)
	case "boom":
		t.NextEvent("first")
		t.NextEvent("second")
	case "first":
		return errBoom
	}
	return nil
}

func TestInspectAndReplaceOnlyMachines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ref := begin(t, &script{})
		if _, err := statem.Inspect[int](quiet, ref.PID()); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("another type of state: %v", err)
		}
		keep := func(s int, m statem.Machine[int, any]) (int, statem.Machine[int, any], error) { return s, m, nil }
		if err := statem.ReplaceState(quiet, ref.PID(), keep); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("another type of state: %v", err)
		}
		if err := statem.ReplaceState[int, any](quiet, ref.PID(), nil); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("no function: %v", err)
		}
		if err := statem.ReplaceState(quiet, actor.PID{}, keep); !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("nobody: %v", err)
		}
	})
}

func TestReplaceState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type machine = statem.Machine[string, any]
		s := &script{on: map[string]func(*turn) error{"a 1": does(postpone)}}
		s.enter = func(t *turn, from string) error { s.note(from + " > " + t.State()); return nil }
		ref := begin(t, s)
		send(t, ref, "1")
		s.want(t, "a > a", "a message 1")
		refuse := func(string, machine) (string, machine, error) { return "x", nil, errBoom }
		if err := statem.ReplaceState(quiet, ref.PID(), refuse); !errors.Is(err, errBoom) {
			t.Errorf("%v", err)
		}
		nothing := func(state string, _ machine) (string, machine, error) { return state, nil, nil }
		if err := statem.ReplaceState(quiet, ref.PID(), nothing); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("%v", err)
		}
		if shot, _ := statem.Inspect[string](quiet, ref.PID()); shot.State != "a" {
			t.Errorf("refused, and in state %s", shot.State)
		}
		other := &script{on: map[string]func(*turn) error{"go": does(to("c"))}}
		err := statem.ReplaceState(quiet, ref.PID(), func(_ string, m machine) (string, machine, error) {
			if m != machine(s) {
				t.Errorf("given %v", m)
			}
			return "b", other, nil
		})
		if err != nil {
			t.Error(err)
		}
		send(t, ref, "go")
		s.want(t)
		other.want(t, "b message go", "c message 1") // what was postponed is still there, and no Enter was called
	})
}

func TestSupervisedMachineBeginsAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := actor.NewName[any]("machine")
		spec := statem.Child("machine", "a", func() statem.Machine[string, any] { return callable{} }, actor.Options{Name: name})
		top, err := supervise.Start(quiet, supervise.Flags{Intensity: 1}, []supervise.ChildSpec{spec}, supervise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		first, _ := name.Resolve()
		_ = name.Cast("b")
		_ = name.Cast(errBoom)
		synctest.Wait()
		second, err := name.Resolve()
		if err != nil || first == second {
			t.Fatalf("%v, %v", second, err)
		}
		if shot, err := statem.Inspect[string](quiet, second.PID()); shot.State != "a" || err != nil {
			t.Errorf("%+v, %v", shot, err)
		}
		_ = top.Stop(quiet)
		if _, err := statem.Child[string, any]("x", "a", nil, actor.Options{}).Start(quiet); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("no function: %v", err)
		}
	})
}

func TestExitsAndDownsAreEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []any
		s := &script{
			init: func(t *turn) error { t.Self().TrapExit(true); return nil },
			on:   map[string]func(*turn) error{},
			info: func(_ *turn, info any) error { got = append(got, info); return nil },
		}
		ref := begin(t, s)
		other := begin(t, &script{})
		send(t, ref, func(t *turn) error {
			t.Self().Monitor(other.PID())
			t.Self().Link(other.PID())
			return nil
		})
		other.PID().Kill()
		synctest.Wait()
		var downs, exits int
		for _, info := range got {
			switch info.(type) {
			case actor.Down:
				downs++
			case actor.Exit:
				exits++
			}
		}
		if downs != 1 || exits != 1 || len(got) != 2 {
			t.Errorf("got %v", got)
		}
	})
}

// TestMachineThatNeverRests: one that always has a next event ends when it is asked to, and when it is killed.
func TestMachineThatNeverRests(t *testing.T) {
	t.Parallel()
	for _, end := range []func(actor.PID){
		actor.PID.Kill, func(id actor.PID) { id.Exit(actor.Reason{Kind: actor.Shutdown}) },
	} {
		ref, err := statem.Start[string, any](quiet, "a", restless{}, actor.Options{})
		if err != nil {
			t.Fatal(err)
		}
		runs := make(chan struct{}, 1)
		_ = ref.Cast(runs)
		<-runs
		end(ref.PID())
		<-ref.PID().Gone()
	}
}

type restless struct{}

func (restless) Handle(t *turn, m any) error {
	t.NextEvent(m)
	if t.Kind() == statem.Internal {
		select {
		case m.(chan struct{}) <- struct{}{}:
		default:
		}
	}
	return nil
}

// TestTurnIsTheContextOfTheProcess: a call to itself is found out, and values of the start are there.
func TestTurnIsTheContextOfTheProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		ctx := context.WithValue(quiet, key{}, "value")
		ref, err := statem.Start[string, any](ctx, "a", &script{}, actor.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, deadline := ctx.Deadline()
		got := make(chan error, 1)
		_ = ref.Cast(func(turn *turn) error {
			if _, has := turn.Deadline(); turn.Value(key{}) != "value" || turn.Err() != nil || has != deadline {
				t.Errorf("value %v, error %v", turn.Value(key{}), turn.Err())
			}
			_, err := actor.Call(turn, ref, where)
			got <- err
			<-turn.Done()
			return turn.Err()
		})
		if err := <-got; !errors.Is(err, actor.ErrCallingSelf) {
			t.Errorf("%v", err)
		}
		ref.PID().Exit(actor.Reason{Kind: actor.Shutdown})
		<-ref.PID().Gone()
	})
}

func TestMisuseEndsTheProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for what, do := range map[string]func(*turn) error{
			"a name that cannot be compared": does(func(t *turn) { t.Timeout([]int{1}, time.Second, 1) }),
			"Continue":                       does(func(t *turn) { t.Self().Continue(1) }),
		} {
			ref := begin(t, &script{})
			_ = ref.Cast(do)
			<-ref.PID().Done()
			if r := ref.PID().Reason(); !errors.Is(r.Err, actor.ErrInvalid) {
				t.Errorf("%s: %v", what, r)
			}
		}
		last := &script{last: func(t *turn, _ actor.Reason) { t.Goto("b"); t.NextEvent(1); t.StateTimeout(1, 1) }}
		ref := begin(t, last)
		ref.PID().Exit(actor.Reason{Kind: actor.Shutdown})
		<-ref.PID().Done()
		if r := ref.PID().Reason(); r.Kind != actor.Shutdown {
			t.Errorf("asked for in Terminate: %v", r)
		}
	})
}

func TestBadStarts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := actor.NewName[any]("n")
		for what, start := range map[string]func() (actor.Ref[any], error){
			"no machine":         func() (actor.Ref[any], error) { return statem.Start[string, any](quiet, "a", nil, actor.Options{}) },
			"no such state":      func() (actor.Ref[any], error) { return startSafe(quiet, "lost", "4711") },
			"Postpone in Init":   func() (actor.Ref[any], error) { return bad(name, does(postpone)) },
			"Repeat in Init":     func() (actor.Ref[any], error) { return bad(name, does((*turn).Repeat)) },
			"a panic in Init":    func() (actor.Ref[any], error) { return bad(name, func(*turn) error { panic("boom") }) },
			"an error of Init":   func() (actor.Ref[any], error) { return bad(name, func(*turn) error { return errBoom }) },
			"no context (Start)": func() (actor.Ref[any], error) { return statem.Start[string, any](nil, "a", &script{}, actor.Options{}) }, //nolint:staticcheck // is what is tested
		} {
			ref, err := start()
			var broken *actor.PanicError
			if !errors.Is(err, actor.ErrInvalid) && !errors.Is(err, errBoom) && !errors.As(err, &broken) || ref.PID() != (actor.PID{}) {
				t.Errorf("%s: %v, %v", what, ref, err)
			}
			if _, err := name.Resolve(); !errors.Is(err, actor.ErrNoProc) {
				t.Errorf("the name after %s: %v", what, err)
			}
		}
	})
}

func bad(name *actor.Name[any], init func(*turn) error) (actor.Ref[any], error) {
	return statem.Start[string, any](quiet, "a", &script{init: init}, actor.Options{Name: name})
}

// TestTimeoutsPassAFullMailbox: what a machine waits for must not be lost to those who send too much.
func TestTimeoutsPassAFullMailbox(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &script{on: map[string]func(*turn) error{"arm": does(func(t *turn) { t.StateTimeout(time.Second, "rings") })}}
		ref, err := statem.Start[string, any](quiet, "a", s, actor.Options{Mailbox: actor.Mailbox{Limit: 1}})
		if err != nil {
			t.Fatal(err)
		}
		_ = ref.Cast("arm")
		synctest.Wait()
		_ = ref.PID().Suspend(quiet)
		_ = ref.Cast("one")
		if err := ref.Cast("two"); !errors.Is(err, actor.ErrMailboxFull) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Minute)
		_ = ref.PID().Resume(quiet)
		synctest.Wait()
		s.want(t, "a message arm", "a message one", "a state timeout rings")
		ref.PID().Kill()
	})
}

// TestManyTimeoutsOfOneTurn: of each only the last request counts, in the order of the last requests.
func TestManyTimeoutsOfOneTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const many = 100
		s := &script{on: map[string]func(*turn) error{"arm": does(func(t *turn) {
			for i := range many {
				t.Timeout(i, time.Hour, "never")
			}
			for i := range many {
				t.Timeout(many-1-i, time.Duration(i/50)*time.Second, "once")
			}
		})}}
		ref := begin(t, s)
		send(t, ref, "arm")
		if shot, _ := statem.Inspect[string](quiet, ref.PID()); len(shot.Timeouts) != 11 || shot.Timeouts[0] != "timeout 49 once" ||
			shot.Timeouts[10] != "and 40 more" {
			t.Errorf("%+v", shot)
		}
		after(24 * time.Hour)
		if n := len(s.seen); n != many+1 || s.seen[n-1] != "a timeout once" {
			t.Errorf("handled %d: %q ...", n, s.seen[:2])
		}
		// An update overrules what was asked before it, and finds what ran before the turn.
		s.on["run"] = does(func(t *turn) { t.Timeout(0, time.Minute, "minute") })
		s.on["update"] = does(func(t *turn) {
			for i := range many {
				t.Timeout(i, time.Second, "second")
			}
			t.UpdateTimeout(0, "updated")
		})
		s.seen = nil
		send(t, ref, "run", "update")
		after(time.Minute)
		if n := len(s.seen); n != many+2 || s.seen[n-1] != "a timeout updated" {
			t.Errorf("handled %d: %q", n, s.seen[n-1])
		}
	})
}

// TestManyPostponed: a long list is tried again in its order, and let go of.
func TestManyPostponed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const many = 1000
		next := 0
		m := handle(func(t *statem.Turn[int, any], m any) error {
			switch n, ok := m.(int); {
			case !ok:
				t.Goto(t.State() + 1)
			case t.State() < 2:
				t.Postpone()
			case n == next:
				next++
			}
			return nil
		})
		ref, err := statem.Start[int, any](quiet, 0, m, actor.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range many {
			_ = ref.Cast(i)
		}
		_ = ref.Cast("again")
		_ = ref.Cast("now")
		synctest.Wait()
		ref.PID().Kill()
		if next != many {
			t.Errorf("%d in order, want %d", next, many)
		}
	})
}

// TestStrikeThatWaitsIsShown: crash reports name it as what it is.
func TestStrikeThatWaitsIsShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []actor.CrashReport
		ctx := actor.WithReporter(quiet, func(c actor.CrashReport) { got = append(got, c) })
		s := &script{on: map[string]func(*turn) error{
			"arm":  does(func(t *turn) { t.StateTimeout(time.Second, "s"); t.Timeout("tea", 2*time.Second, "n") }),
			"boom": func(*turn) error { time.Sleep(time.Minute); return errBoom },
		}}
		ref, _ := statem.Start[string, any](ctx, "a", s, actor.Options{})
		_ = ref.Cast("arm")
		_ = ref.Cast("boom")
		<-ref.PID().Done()
		if len(got) != 1 || strings.Join(got[0].Waiting, ", ") != "state timeout, timeout tea" {
			t.Errorf("%+v", got)
		}
	})
}
