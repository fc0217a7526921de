package actor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Hibernation is the rule: a process at rest has no goroutine, and gives back the memory that a burst needed.
func TestScenario096Hibernate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, box := range []Mailbox{{}, {Limit: 5000}} {
			a := must(t, &script{}, Options{Mailbox: box})
			gate := make(chan struct{})
			_ = a.Cast(func() { <-gate })
			for i := range 4000 {
				_ = a.Cast(i)
			}
			close(gate)
			synctest.Wait()
			if i := a.PID().Info(); i.Status != StatusIdle || i.Messages != 4001 || i.Mailbox != 0 {
				t.Errorf("%+v", i)
			}
			kept := cap(a.s.box.waiting) + cap(a.s.box.spare) + cap(a.s.batch)
			for _, full := range a.s.box.full {
				kept += cap(full)
			}
			if kept > 3*restCap {
				t.Errorf("keeps memory for %d messages", kept)
			}
			a.PID().Kill()
		}
	})
}

// What waits in a mailbox does not make the calls of its process dearer: there is no selective receive that would have
// to look at it.
func TestScenario097CallWithHugeMailbox(t *testing.T) {
	t.Parallel()
	server := mustStart(t, &sink{}, Options{})
	cost := func(backlog int) time.Duration {
		best := time.Duration(1 << 62)
		client := must(t, &script{}, Options{})
		done := make(chan struct{})
		gate := make(chan struct{})
		_ = client.Cast(func() {
			defer close(done)
			<-gate
			for range 7 {
				began := time.Now()
				for range 1000 {
					if _, err := Call(client.s, server, func(f From[int]) token { return token{from: f} }); err != nil {
						t.Error(err)
						return
					}
				}
				best = min(best, time.Since(began))
			}
		})
		for i := range backlog {
			_ = client.Cast(i)
		}
		close(gate)
		<-done
		client.PID().Kill()
		<-client.PID().Gone()
		return best
	}
	if few, many := cost(0), cost(100_000); many > 5*few {
		t.Errorf("calls cost %v with an empty mailbox, %v with 100,000 messages in it", few, many)
	}
	server.PID().Kill()
}

// What a Server does not have is not called, and only a Continue that cannot be done is a fault.
func TestScenario098MissingCallbacks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := mustStart(t, &sink{}, Options{TrapExit: true})
		a.PID().Exit(Reason{Kind: Crash, Err: errBoom}) // an Exit, which it has no method for
		_ = a.PID().Inform("news")
		a.s.Monitor(PID{})
		if n, err := Call(quiet, a, func(f From[int]) token { return token{from: f} }); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if err := a.PID().Shutdown(quiet); err != nil {
			t.Error(err)
		}
		b, _ := Start[token](quiet, continues{}, Options{})
		_ = b.Cast(token{})
		<-b.PID().Done()
		if r := b.PID().Reason(); !errors.Is(r.Err, ErrInvalid) || !strings.Contains(r.String(), "no method Continue") {
			t.Errorf("%v", r)
		}
	})
}

type continues struct{}

func (continues) Handle(self *Self[token], _ token) error { self.Continue(1); return nil }

func TestScenario099GetAndReplaceState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := mustStart(t, &sink{n: 5}, Options{})
		n := 0
		if err := a.PID().State(quiet, func(s any) { n = s.(*sink).n }); n != 5 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if err := a.PID().ReplaceState(quiet, func(s any) any { return &sink{n: s.(*sink).n * 2} }); err != nil {
			t.Error(err)
		}
		if n, err := Call(quiet, a, func(f From[int]) token { return token{from: f} }); n != 11 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		// A replacement that panics, has the wrong type or is nothing leaves the state as it is, and the process alive.
		var broken *PanicError
		if err := a.PID().ReplaceState(quiet, func(any) any { panic("no") }); !errors.As(err, &broken) {
			t.Errorf("%v", err)
		}
		for _, other := range []any{nil, 1, &script{}} {
			if err := a.PID().ReplaceState(quiet, func(any) any { return other }); !errors.Is(err, ErrInvalid) {
				t.Errorf("%T: %v", other, err)
			}
		}
		done := make(chan struct{})
		go func() { // one that ends the goroutine ends neither its asker's waiting nor the process
			defer close(done)
			if err := a.PID().State(quiet, func(any) { runtime.Goexit() }); err != ErrGoexit {
				t.Errorf("%v", err)
			}
		}()
		<-done
		if n, err := Call(quiet, a, func(f From[int]) token { return token{from: f} }); n != 12 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		a.PID().Kill()
	})
}

// secret is a Server that hides what it knows.
type secret struct{ password string }

func (s *secret) Handle(_ *Self[any], m any) error {
	if m == "panic" {
		panic("over")
	}
	return nil
}

func (s *secret) Redact(what any) any {
	switch what := what.(type) {
	case *secret:
		return "secret{…}"
	case string:
		if strings.HasPrefix(what, "hunter") {
			return "(password)"
		}
	}
	return what
}

func TestScenario100Redaction(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got CrashReport
		ctx := WithReporter(context.Background(), func(c CrashReport) { got = c })
		a, _ := Start[any](ctx, &secret{"hunter1"}, Options{})
		if err := a.PID().Suspend(ctx); err != nil {
			t.Fatal(err)
		}
		_ = a.Cast("panic")
		_ = a.Cast("hunter2")
		_ = a.PID().Inform("hunter3")
		_ = a.PID().Resume(ctx)
		<-a.PID().Done()
		if text := fmt.Sprintf("%+v", got); strings.Contains(text, "hunter") {
			t.Errorf("a secret got out: %s", text)
		}
		if got.State != "secret{…}" || got.LastMessage != "panic" || fmt.Sprint(got.Waiting) != "[(password) (password)]" {
			t.Errorf("%+v", got)
		}
	})
}

func TestScenario101LateReplyVanishes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := &hold{from: make(chan From[int], 2)}
		a := must(t, h, Options{})
		ctx, cancel := context.WithTimeout(quiet, time.Second)
		defer cancel()
		if _, err := Call(ctx, a, ask); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		late := <-h.from
		go func() {
			next := <-h.from
			late.Reply(1) // must not be taken for the answer to the next call
			synctest.Wait()
			next.Reply(2)
		}()
		if n, err := Call(quiet, a, ask); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		a.PID().Kill()
	})
}

// Many calls of many callers are outstanding, and each gets its own answer, in whatever order they come.
func TestScenario102ManyOutstandingCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const many = 1000
		h := &hold{from: make(chan From[int], many)}
		a := must(t, h, Options{})
		var callers sync.WaitGroup
		answers := make(chan int, many)
		for range many {
			callers.Go(func() {
				n, err := Call(quiet, a, ask)
				if err != nil {
					t.Error(err)
				}
				answers <- n
			})
		}
		synctest.Wait()
		if i := a.PID().Info(); i.OpenCalls != many {
			t.Errorf("%d open calls", i.OpenCalls)
		}
		var all []From[int]
		for range many {
			all = append(all, <-h.from)
		}
		for i := range many {
			all[(i*7919)%many].Reply(i)
		}
		callers.Wait()
		seen := make(map[int]bool)
		for range many {
			seen[<-answers] = true
		}
		if len(seen) != many || a.PID().Info().OpenCalls != 0 {
			t.Errorf("%d different answers, %+v", len(seen), a.PID().Info())
		}
		a.PID().Kill()
	})
}

func TestScenario103LoopStartFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := NewName[any]("it")
		for i := range 1000 {
			_, err := Start[any](quiet, &script{init: func(*Self[any]) error {
				switch i % 4 {
				case 0:
					panic("no")
				case 1:
					return errBoom
				case 2:
					runtime.Goexit()
				}
				return ErrIgnore
			}}, Options{Name: name})
			if err == nil || errors.Is(err, ErrAlreadyStarted) {
				t.Fatalf("start %d: %v", i, err)
			}
		}
		a := must(t, &script{}, Options{Name: name})
		a.PID().Kill()
	})
}

func TestScenario104SyncStartTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := NewName[any]("it")
		selves := make(chan *Self[any], 1)
		ctx, cancel := context.WithTimeout(quiet, time.Second)
		defer cancel()
		_, err := Start[any](ctx, &script{init: func(s *Self[any]) error {
			selves <- s
			s.Continue("never")
			time.Sleep(time.Minute)
			return nil
		}, cont: func(*Self[any], any) error { t.Error("a killed process goes on"); return nil }}, Options{Name: name})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "Init") {
			t.Errorf("%v", err)
		}
		if _, err := name.Resolve(); !errors.Is(err, ErrNoProc) {
			t.Errorf("the name is not free: %v", err)
		}
		b, self := must(t, &script{}, Options{Name: name}), <-selves
		if r := self.PID().Reason(); r.Kind != Killed || self.PID().Info().Status != StatusAbandoned {
			t.Errorf("%v, %+v", r, self.PID().Info())
		}
		select {
		case <-self.Done(): // Init can know
		default:
			t.Error("the context of an Init that is not wanted any more goes on")
		}
		<-self.PID().Gone()
		if r, err := name.Resolve(); r != b || err != nil || self.PID().Info().Status != StatusEnded {
			t.Errorf("the end of the abandoned took the name: %v, %v", r, err)
		}
		b.PID().Kill()
	})
}

// However an Init ends, the starter does not hang.
func TestScenario105InitDoesNotHang(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for what, init := range map[string]func(*Self[any]) error{
			"panic":            func(*Self[any]) error { panic("no") },
			"end of goroutine": func(*Self[any]) error { runtime.Goexit(); return nil },
			"kills itself":     func(s *Self[any]) error { s.PID().Kill(); return nil },
			"killed and error": func(s *Self[any]) error { s.PID().Kill(); return errBoom },
			"killed and panic": func(s *Self[any]) error { s.PID().Kill(); panic("no") },
			"exit of a link": func(s *Self[any]) error {
				s.Link(PID{})
				<-s.Done()
				return s.Err()
			},
		} {
			began := time.Now()
			if ref, err := Start[any](quiet, &script{init: init}, Options{}); err == nil || !time.Now().Equal(began) {
				t.Errorf("%s: %v, %v", what, ref, err)
			}
		}
	})
}
