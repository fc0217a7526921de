package agent_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/actor/agent"
	"semper/supervise"
)

type dict = map[string]string

func empty() dict { return dict{} }

func put(key, value string) func(dict) dict {
	return func(d dict) dict { d[key] = value; return d }
}

func get(key string) func(dict) string { return func(d dict) string { return d[key] } }

func pop(key string) func(dict) (string, dict) {
	return func(d dict) (string, dict) {
		v := d[key]
		delete(d, key)
		return v, d
	}
}

var quiet = actor.WithReporter(context.Background(), func(actor.CrashReport) {})

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func begin(t *testing.T, o actor.Options) agent.Ref[dict] {
	t.Helper()
	a, err := agent.Start(quiet, empty, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.PID().Kill)
	return a
}

// Elixir's agent tests are these seven; the documentation's examples, which are one of them, are in example_test.go.

func TestAgent1CanBeSupervisedDirectly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := agent.NewName[dict]("dict")
		s, err := supervise.Start(quiet, supervise.Flags{Intensity: 1},
			[]supervise.ChildSpec{agent.Child("dict", empty, actor.Options{Name: name})}, supervise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		first, _ := name.Resolve()
		_ = agent.Update(quiet, name, put("hello", "world"))
		_ = agent.Cast(name, func(dict) dict { panic("boom") })
		synctest.Wait()
		second, err := name.Resolve()
		if err != nil || second == first {
			t.Errorf("after a crash there is %v, %v", second, err)
		}
		if v, err := agent.Get(quiet, name, get("hello")); v != "" || err != nil {
			t.Errorf("the next incarnation holds %q, %v", v, err)
		}
		_ = s.Stop(quiet)
	})
}

func TestAgent2ChildSpec(t *testing.T) {
	bubble(t, func(t *testing.T) {
		permanent := agent.Child("permanent", empty, actor.Options{})
		if permanent.ID != "permanent" || permanent.Restart != supervise.Permanent || permanent.Shutdown != 0 {
			t.Errorf("spec %+v", permanent)
		}
		temporary := agent.Child("temporary", empty, actor.Options{})
		temporary.Restart, temporary.Shutdown = supervise.Temporary, supervise.Infinity
		s, err := supervise.Start(quiet, supervise.Flags{Intensity: 2}, []supervise.ChildSpec{permanent, temporary}, supervise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Children() {
			id := c.Child.(interface{ PID() actor.PID }).PID()
			if label := id.Info().Label; label != c.ID {
				t.Errorf("label %q of %s", label, c.ID)
			}
			ref, _ := actor.RefOf[agent.Message[dict]](id)
			_ = agent.Stop(quiet, ref, actor.Reason{})
		}
		synctest.Wait()
		if all := s.Children(); len(all) != 1 || all[0].ID != "permanent" || all[0].Restarts != 1 {
			t.Errorf("children %+v", all)
		}
		_ = s.Stop(quiet)
	})
}

func TestAgent3WorkflowWithoutName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := begin(t, actor.Options{})
		if err := agent.Update(quiet, a, put("hello", "world")); err != nil {
			t.Error(err)
		}
		if v, err := agent.Get(quiet, a, get("hello")); v != "world" || err != nil {
			t.Errorf("get %q, %v", v, err)
		}
		if v, err := agent.GetAndUpdate(quiet, a, pop("hello")); v != "world" || err != nil {
			t.Errorf("get and update %q, %v", v, err)
		}
		if d, err := agent.Get(quiet, a, maps.Clone[dict]); len(d) != 0 || err != nil {
			t.Errorf("left %v, %v", d, err)
		}
		if label := a.PID().Info().Label; label != "agent of map[string]string" {
			t.Errorf("label %q", label)
		}
		if err := agent.Stop(quiet, a, actor.Reason{}); err != nil || a.PID().Alive() {
			t.Errorf("stop: %v", err)
		}
	})
}

func TestAgent4WorkflowWithName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := agent.NewName[dict]("dict")
		a := begin(t, actor.Options{Name: name})
		if _, err := agent.Start(quiet, empty, actor.Options{Name: name}); !errors.Is(err, actor.ErrAlreadyStarted) {
			t.Errorf("a second of the name: %v", err)
		}
		if err := agent.Cast(name, put("hello", "world")); err != nil {
			t.Error(err)
		}
		if v, err := agent.GetAndUpdate(quiet, name, pop("hello")); v != "world" || err != nil {
			t.Errorf("get and update %q, %v", v, err)
		}
		if err := agent.Stop(quiet, name, actor.Reason{Kind: actor.Shutdown}); err != nil || a.PID().Reason().Kind != actor.Shutdown {
			t.Errorf("stop: %v, ended for %v", err, a.PID().Reason())
		}
		if _, err := name.Resolve(); !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("the name after the end: %v", err)
		}
	})
}

func TestAgent5ReplaceWhileSuspended(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := begin(t, actor.Options{})
		_ = a.PID().Suspend(quiet)
		_ = agent.Cast(a, func(d dict) dict { d["seen"] = d["hello"]; return d })
		if err := agent.Replace(quiet, a, func(dict) (dict, error) { return dict{"hello": "world"}, nil }); err != nil {
			t.Error(err)
		}
		_ = a.PID().Resume(quiet)
		if v, _ := agent.Get(quiet, a, get("seen")); v != "world" {
			t.Errorf("a function that waited saw %q", v)
		}
	})
}

func TestAgent6FailingReplaceChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := begin(t, actor.Options{})
		_ = agent.Update(quiet, a, put("hello", "world"))
		boom := errors.New("boom")
		if err := agent.Replace(quiet, a, func(dict) (dict, error) { return nil, boom }); !errors.Is(err, boom) {
			t.Errorf("%v", err)
		}
		var broken *actor.PanicError
		if err := agent.Replace(quiet, a, func(dict) (dict, error) { panic("boom") }); !errors.As(err, &broken) {
			t.Errorf("%v", err)
		}
		if v, err := agent.Get(quiet, a, get("hello")); v != "world" || err != nil {
			t.Errorf("get %q, %v", v, err)
		}
	})
}

func TestPanicEndsTheAgentAndNotTheCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var reports []actor.CrashReport
		ctx := actor.WithReporter(quiet, func(c actor.CrashReport) { reports = append(reports, c) })
		a, _ := agent.Start(ctx, func() dict { return dict{"k": "v"} }, actor.Options{})
		err := agent.Update(ctx, a, func(dict) dict { panic("boom") })
		var end *actor.ExitError
		var broken *actor.PanicError
		if !errors.As(err, &end) || !errors.As(err, &broken) || broken.Value != "boom" {
			t.Errorf("%v", err)
		}
		if _, err := agent.Get(ctx, a, get("k")); !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("after the end: %v", err)
		}
		if len(reports) != 1 || reports[0].State != "map[k:v]" || !strings.Contains(reports[0].LastMessage, "update ") {
			t.Errorf("reports %+v", reports)
		}
	})
}

func TestPanicAtTheStartIsTheStarters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := agent.NewName[int]("n")
		var broken *actor.PanicError
		if _, err := agent.Start(quiet, func() int { panic("boom") }, actor.Options{Name: name}); !errors.As(err, &broken) {
			t.Errorf("%v", err)
		}
		if _, err := name.Resolve(); !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("the name after it: %v", err)
		}
	})
}

// TestCallerThatLeaves: the function of an Update still runs, that of a Get does not.
func TestCallerThatLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := begin(t, actor.Options{})
		_ = agent.Cast(a, func(d dict) dict { time.Sleep(time.Minute); return d })
		ctx, cancel := context.WithTimeout(quiet, time.Second)
		defer cancel()
		ran := make(chan string, 2)
		done := make(chan error)
		go func() {
			_, err := agent.Get(ctx, a, func(dict) int { ran <- "get"; return 0 })
			done <- err
		}()
		err := agent.Update(ctx, a, func(d dict) dict { ran <- "update"; return d })
		if other := <-done; !errors.Is(err, context.DeadlineExceeded) || !errors.Is(other, context.DeadlineExceeded) {
			t.Errorf("%v, %v", err, other)
		}
		_ = agent.Update(quiet, a, func(d dict) dict { return d })
		close(ran)
		if what := <-ran; what != "update" || len(ran) != 0 {
			t.Errorf("ran %q and %d more", what, len(ran))
		}
	})
}

func TestStopAfterAnotherEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := begin(t, actor.Options{})
		_ = agent.Cast(a, func(dict) dict { panic("boom") })
		var end *actor.ExitError
		if err := agent.Stop(quiet, a, actor.Reason{}); !errors.As(err, &end) && !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("%v", err)
		}
		b := begin(t, actor.Options{})
		_ = agent.Cast(b, func(d dict) dict { time.Sleep(time.Hour); return d })
		ctx, cancel := context.WithTimeout(quiet, time.Second)
		defer cancel()
		if err := agent.Stop(ctx, b, actor.Reason{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		<-b.PID().Gone() // it stops after what came before
	})
}

type account struct{ Owner, secret string }

func (a account) Redact(any) any { return account{a.Owner, "…"} }

func TestStateIsRedacted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var state string
		ctx := actor.WithReporter(quiet, func(c actor.CrashReport) { state = c.State })
		a, _ := agent.Start(ctx, func() account { return account{"ann", "hunter2"} }, actor.Options{})
		_ = agent.Update(ctx, a, func(account) account { panic("boom") })
		if state != "{Owner:ann secret:…}" {
			t.Errorf("reported %q", state)
		}
	})
}

func TestBadInput(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := begin(t, actor.Options{})
		same := func(d dict) dict { return d }
		for what, err := range map[string]error{
			"start without a function":   second(agent.Start[int](quiet, nil, actor.Options{})),
			"start without a context":    second(agent.Start(nil, empty, actor.Options{})), //nolint:staticcheck // is what is tested
			"child without a function":   second(agent.Child[int]("a", nil, actor.Options{}).Start(quiet)),
			"get without a function":     second(agent.Get[int](quiet, a, nil)),
			"get without an agent":       second(agent.Get[string](quiet, nil, get("k"))),
			"get and update of nothing":  second(agent.GetAndUpdate[int](quiet, a, nil)),
			"update without a function":  agent.Update(quiet, a, nil),
			"cast without a function":    agent.Cast(a, nil),
			"cast without an agent":      agent.Cast(nil, same),
			"stop without an agent":      agent.Stop[dict](quiet, nil, actor.Reason{}),
			"replace without a function": agent.Replace(quiet, a, nil),
			"replace without an agent":   agent.Replace(quiet, nil, func(d dict) (dict, error) { return d, nil }),
		} {
			if !errors.Is(err, actor.ErrInvalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
		for what, err := range map[string]error{
			"update of nobody":  agent.Update(quiet, agent.Ref[dict]{}, same),
			"cast to nobody":    agent.Cast(agent.Ref[dict]{}, same),
			"stop of nobody":    agent.Stop(quiet, agent.Ref[dict]{}, actor.Reason{}),
			"replace of nobody": agent.Replace(quiet, agent.NewName[dict]("n"), func(d dict) (dict, error) { return d, nil }),
		} {
			if !errors.Is(err, actor.ErrNoProc) {
				t.Errorf("%s: %v", what, err)
			}
		}
		_ = a.Cast(agent.Message[dict]{})
		if err := agent.Update(quiet, a, same); err != nil {
			t.Errorf("after an empty message: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func BenchmarkGet(b *testing.B) {
	a, err := agent.Start(b.Context(), func() int { return 1 }, actor.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer a.PID().Kill()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := agent.Get(b.Context(), a, func(n int) int { return n }); err != nil {
			b.Fatal(err)
		}
	}
}
