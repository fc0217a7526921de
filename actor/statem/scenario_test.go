package statem_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/actor/statem"
)

// The scenarios of gen_statem_SUITE, by their numbers in the project's list.

// 107: what is inserted comes before what comes again, that before what is in the queue, zero timeouts after the queue
// and before the mailbox.
func TestScenario107EventOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &script{on: map[string]func(*turn) error{
			"a early": does(postpone),
			"a late":  does(postpone),
			"a go": does(to("b"), next("n1"), next("n2"), func(t *turn) {
				t.Timeout("z", 0, "zero z")
				t.StateTimeout(0, "zero s")
				t.EventTimeout(0, "zero e") // cancelled by n1
			}),
			"n1": does(next("n3")),
		}}
		send(t, begin(t, s), "early", "late", "go", "mail")
		s.want(t, "a message early", "a message late", "a message go",
			"b internal n1", "b internal n3", "b internal n2", "b message early", "b message late",
			"b timeout zero z", "b state timeout zero s", "b message mail")
	})
}

// 108: a state timeout comes in its state only.
func TestScenario108StateTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		arm := func(t *turn) { t.StateTimeout(time.Second, "rings") }
		s := &script{on: map[string]func(*turn) error{
			"arm": does(arm), "away": does(to("b")), "away armed": does(to("b"), arm), "same": does(to("a")),
			"other": does(), "repeat": does((*turn).Repeat),
		}}
		ref := begin(t, s)
		send(t, ref, "arm", "other", "same", "repeat")
		after(time.Second)
		s.want(t, "a message arm", "a message other", "a message same", "a message repeat", "a state timeout rings")

		send(t, ref, "arm", "away") // cancels it
		after(time.Hour)
		s.want(t, "a message arm", "a message away")

		send(t, ref, "arm")
		after(time.Second / 2)
		send(t, ref, "arm") // begins anew
		after(time.Second / 2)
		s.want(t, "b message arm", "b message arm")
		after(time.Second / 2)
		s.want(t, "b state timeout rings")
	})
}

// 108: one that has struck, but waits in the mailbox behind the change of state, never comes.
func TestScenario108StateTimeoutThatHasStruck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &script{on: map[string]func(*turn) error{
			"arm":  does(func(t *turn) { t.StateTimeout(time.Second, "rings") }),
			"away": does(to("b")),
			"slow": func(*turn) error { time.Sleep(time.Minute); return nil },
		}}
		ref := begin(t, s)
		for _, m := range []any{"arm", "slow", "away"} {
			_ = ref.Cast(m)
		}
		after(time.Hour)
		s.want(t, "a message arm", "a message slow", "a message away")
	})
}

// 109: a cancelled timeout does not come, an updated one brings something else at the same time, and an update of
// nothing comes at once.
func TestScenario109TimeoutCancelAndUpdate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &script{on: map[string]func(*turn) error{
			"arm": does(func(t *turn) {
				t.StateTimeout(time.Second, "state")
				t.Timeout("n", 2*time.Second, "named")
				t.Timeout(7, 3*time.Second, "seven")
			}),
			"cancel": does(func(t *turn) {
				t.CancelStateTimeout()
				t.CancelTimeout("n")
				t.CancelTimeout("nobody's")
			}),
			"update": does(func(t *turn) {
				t.UpdateStateTimeout("state'")
				t.UpdateTimeout("n", "named'")
			}),
			"event":    does(func(t *turn) { t.EventTimeout(time.Second, "idle") }),
			"overrule": does(func(t *turn) { t.Timeout("n", time.Hour, "never"); t.Timeout("n", 0, "once") }),
		}}
		ref := begin(t, s)
		send(t, ref, "arm", "cancel")
		after(time.Minute)
		s.want(t, "a message arm", "a message cancel", "a timeout seven")

		handled := ref.PID().Info().Messages
		send(t, ref, "arm", "cancel")
		after(2 * time.Second)
		if got := ref.PID().Info().Messages; got != handled+2 {
			t.Errorf("clocks that were cancelled woke the process %d times", got-handled-2)
		}
		after(time.Second)
		s.want(t, "a message arm", "a message cancel", "a timeout seven")

		send(t, ref, "arm", "update")
		s.want(t, "a message arm", "a message update")
		after(time.Second)
		s.want(t, "a state timeout state'")
		after(time.Second)
		s.want(t, "a timeout named'")
		after(time.Second)
		s.want(t, "a timeout seven")

		send(t, ref, "update")
		s.want(t, "a message update", "a state timeout state'", "a timeout named'")

		send(t, ref, "event", "other") // any event cancels it
		after(time.Hour)
		s.want(t, "a message event", "a message other")
		send(t, ref, "event")
		after(time.Second)
		s.want(t, "a message event", "a event timeout idle")

		send(t, ref, "overrule")
		after(24 * time.Hour)
		s.want(t, "a message overrule", "a timeout once")
	})
}

// 110: Enter runs for the first state after the start is acknowledged, and then for each change and each Repeat.
func TestScenario110StateEnter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &script{on: map[string]func(*turn) error{
			"b": does(to("b"), next("inserted")), "keep": does(to("b")), "repeat": does((*turn).Repeat),
			"both": does(to("c"), (*turn).Repeat),
		}}
		s.enter = func(t *turn, from string) error {
			s.note(from + " > " + t.State())
			t.StateTimeout(time.Second, "stayed")
			return nil
		}
		ref := begin(t, s)
		send(t, ref, "b", "keep", "repeat", "both")
		s.want(t, "a > a", "a message b", "a > b", "b internal inserted", "b message keep", "b message repeat", "b > b",
			"b message both", "b > c")
		after(time.Second)
		s.want(t, "c state timeout stayed")

		enters := make(chan struct{})
		slow := &script{enter: func(*turn, string) error { <-enters; return nil }}
		begin(t, slow) // is acknowledged all the same
		close(enters)
	})
}

// 110: what Enter must not ask for ends the process, as does an error of it.
func TestScenario110StateEnterFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for what, do := range map[string]func(*turn) error{
			"Goto": does(to("c")), "Postpone": does(postpone), "NextEvent": does(next("x")), "Repeat": does((*turn).Repeat),
			"boom": func(*turn) error { return errBoom },
		} {
			s := &script{enter: func(t *turn, _ string) error { return do(t) }}
			ref := begin(t, s)
			<-ref.PID().Done()
			want := actor.ErrInvalid
			if what == "boom" {
				want = errBoom
			}
			if r := ref.PID().Reason(); !errors.Is(r.Err, want) {
				t.Errorf("%s in Enter: %v", what, r)
			}
		}
	})
}

// 111: next events, from Init and from handlers, before all that was sent.
func TestScenario111NextEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &script{
			init: does(next("1"), next("2")),
			on: map[string]func(*turn) error{
				"1": does(next("1.1"), next("1.2")), "1.1": does(next("1.1.1")), "mail": does(next("3"), next("4")),
			},
		}
		ref := begin(t, s)
		send(t, ref, "mail", "other")
		s.want(t, "a internal 1", "a internal 1.1", "a internal 1.1.1", "a internal 1.2", "a internal 2",
			"a message mail", "a internal 3", "a internal 4", "a message other")
	})
}

// 112: what is postponed comes again after each change of the state, oldest first, until it is handled; also infos and
// calls.
func TestScenario112Postpone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &script{on: map[string]func(*turn) error{
			"a 1": does(postpone), "a 2": does(postpone), "b 1": does(postpone),
			"b": does(to("b")), "c": does(to("c")), "keep": does(to("b")), "postpone and go": does(postpone, to("c")),
		}}
		s.info = func(t *turn, info any) error {
			s.note(t.State() + " info " + info.(string))
			if t.State() == "a" {
				t.Postpone()
			}
			return nil
		}
		ref := begin(t, s)
		_ = ref.PID().Inform("news")
		send(t, ref, "1", "2", "1")
		s.want(t, "a info news", "a message 1", "a message 2", "a message 1")
		send(t, ref, "b")
		s.want(t, "a message b", "b info news", "b message 1", "b message 2", "b message 1")
		send(t, ref, "keep")
		s.want(t, "b message keep")
		send(t, ref, "postpone and go")
		s.want(t, "b message postpone and go", "c message 1", "c message 1", "c message postpone and go")
	})
}

// 112: a call that is postponed is answered in the state in which it can be, and by the end of the process.
func TestScenario112PostponedCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := callable{}
		ref, err := statem.Start[string, any](quiet, "a", m, actor.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string)
		call := func() {
			v, err := actor.Call(quiet, ref, where)
			if err != nil {
				v = "error"
			}
			got <- v
		}
		go call()
		synctest.Wait()
		_ = ref.Cast("b")
		if v := <-got; v != "b" {
			t.Errorf("answered %q", v)
		}
		_ = ref.Cast("a")
		go call()
		synctest.Wait()
		_ = ref.Cast(errBoom)
		if v := <-got; v != "error" {
			t.Errorf("answered %q", v)
		}
	})
}

// callable answers calls in every state but "a". A string makes it go there, an error ends it.
type callable struct{}

func (callable) Handle(t *turn, m any) error {
	switch m := m.(type) {
	case string:
		t.Goto(m)
	case error:
		return m
	case actor.From[string]:
		if t.State() == "a" {
			t.Postpone()
			return nil
		}
		m.Reply(t.State())
	}
	return nil
}

// 113: replies leave before the end, and the end has the reason asked for.
func TestScenario113StopAndReply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var ended []string
		s := &script{last: func(t *turn, r actor.Reason) { ended = append(ended, t.State()+" "+r.Kind.String()) }}
		ref := begin(t, s)
		waits := make(chan error, 1)
		hand := make(chan actor.From[string], 1)
		go func() {
			_, err := actor.Call(quiet, ref, func(f actor.From[string]) any {
				return func(*turn) error { hand <- f; return nil }
			})
			waits <- err
		}()
		synctest.Wait()
		unanswered := <-hand
		got, err := actor.Call(quiet, ref, func(f actor.From[string]) any {
			return func(t *turn) error {
				t.Goto("never")
				f.Reply("bye")
				return actor.Stop(actor.Reason{Kind: actor.Shutdown})
			}
		})
		if got != "bye" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		<-ref.PID().Done()
		if r := ref.PID().Reason(); r.Kind != actor.Shutdown {
			t.Errorf("ended for %v", r)
		}
		if !slices.Equal(ended, []string{"a shutdown"}) {
			t.Errorf("terminated %q", ended)
		}
		var end *actor.ExitError
		if err := <-waits; !errors.As(err, &end) || unanswered.Waiting() {
			t.Errorf("who was not answered got %v", err)
		}
	})
}

// 113: Terminate runs for every end but a Kill, and clocks are stopped.
func TestScenario113EndStopsClocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ended := 0
		s := &script{
			on:   map[string]func(*turn) error{"arm": does(func(t *turn) { t.StateTimeout(time.Hour, "rings") })},
			last: func(*turn, actor.Reason) { ended++ },
		}
		ref := begin(t, s)
		send(t, ref, "arm")
		ctx, cancel := context.WithTimeout(quiet, time.Minute)
		defer cancel()
		if err := ref.PID().Shutdown(ctx); err != nil || ended != 1 {
			t.Errorf("%v, terminated %d times", err, ended)
		}
		after(24 * time.Hour)
		s.want(t, "a message arm")
	})
}
