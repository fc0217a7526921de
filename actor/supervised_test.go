package actor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"semper/supervise"
)

// A supervised process that is killed in a callback is replaced at once, and listed until it returns.
func TestAbandonedIsListed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := NewName[any]("it")
		s, err := supervise.Start(quiet, supervise.Flags{Intensity: 10}, []supervise.ChildSpec{
			Child("it", func() Server[any] { return &script{} }, Options{Name: name}),
		}, supervise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		first, _ := name.Resolve()
		gate := make(chan struct{})
		_ = name.Cast(func() { <-gate })
		synctest.Wait()
		first.PID().Kill()
		synctest.Wait()
		if n, err := Call(quiet, name, ask); n != 42 || err != nil {
			t.Errorf("the next incarnation: %d, %v", n, err)
		}
		if left := s.Abandoned(); len(left) != 1 || left[0].Path != "it" {
			t.Errorf("abandoned: %v", left)
		}
		if i := first.PID().Info(); i.Status != StatusAbandoned || i.Reason.Kind != Killed {
			t.Errorf("%+v", i)
		}
		close(gate)
		synctest.Wait()
		if left := s.Abandoned(); len(left) != 0 || first.PID().Info().Status != StatusEnded {
			t.Errorf("still abandoned: %v", left)
		}
		if err := s.Stop(quiet); err != nil {
			t.Error(err)
		}
	})
}

// A shutdown that a callback does not follow becomes a kill in time, and the stop does not wait for the callback.
func TestStopAbandonsWhatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := NewName[any]("it")
		s, err := supervise.Start(quiet, supervise.Flags{}, []supervise.ChildSpec{
			Child("it", func() Server[any] { return &script{} }, Options{Name: name}),
		}, supervise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		_ = name.Cast(func() { <-gate })
		synctest.Wait()
		began := time.Now()
		if err := s.Stop(quiet); err != nil || time.Since(began) != supervise.DefaultShutdown {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if left := s.Abandoned(); len(left) != 1 {
			t.Errorf("abandoned: %v", left)
		}
		close(gate)
	})
}

// A supervisor stops a process that traps exits after what it was sent before, and gives it the time to clean up.
func TestShutdownOfOneThatTraps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := NewName[any]("it")
		var story []string
		s, err := supervise.Start(quiet, supervise.Flags{}, []supervise.ChildSpec{
			Child("it", func() Server[any] {
				return &script{
					handle: func(_ *Self[any], m any) error {
						time.Sleep(time.Second)
						story = append(story, m.(string))
						return nil
					},
					terminate: func(r Reason) { story = append(story, r.String()) },
				}
			}, Options{Name: name, TrapExit: true}),
		}, supervise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_ = name.Cast("one")
		_ = name.Cast("two")
		if err := s.Stop(quiet); err != nil {
			t.Error(err)
		}
		if len(story) != 3 || story[2] != "shutdown" {
			t.Errorf("%v", story)
		}
	})
}

// Suspended processes can be stopped, also one whose order to end waited in its mailbox when it was suspended.
func TestSuspendedCanBeStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, trap := range []bool{false, true} {
			a := must(t, &script{}, Options{TrapExit: trap})
			_ = a.PID().Suspend(quiet)
			if err := a.PID().Shutdown(quiet); err != nil {
				t.Error(err)
			}
			a = must(t, &script{}, Options{TrapExit: trap})
			gate := make(chan struct{})
			_ = a.Cast(func() { <-gate })
			_ = a.Cast("never handled")
			synctest.Wait()
			go func() { _ = a.PID().Shutdown(quiet) }()
			go func() { _ = a.PID().Suspend(quiet) }()
			synctest.Wait()
			close(gate)
			<-a.PID().Done()
			if r := a.PID().Reason(); r.Kind != Shutdown {
				t.Errorf("ended for %v", r)
			}
		}
	})
}

// What a supervisor cannot start is said to it, and what panics in the function that makes the server, too.
func TestChildThatCannotStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for what, server := range map[string]func() Server[any]{
			"no function": nil,
			"no server":   func() Server[any] { return nil },
			"panic":       func() Server[any] { panic("no") },
			"init":        func() Server[any] { return &script{init: func(*Self[any]) error { return errBoom }} },
		} {
			_, err := supervise.Start(quiet, supervise.Flags{}, []supervise.ChildSpec{Child("it", server, Options{})}, supervise.Options{})
			var start *supervise.StartError
			if !errors.As(err, &start) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}
