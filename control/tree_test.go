package control_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/control"
	"semper/store"
	"semper/supervise"
)

// brokenStore panics in the next call of a kind.
type brokenStore struct {
	semper.Store
	commit, lead, get atomic.Bool
	away              atomic.Int32 // how many more times List fails
}

func (s *brokenStore) List(ctx context.Context, prefix string) ([]semper.Item, int64, error) {
	if s.away.Load() > 0 {
		s.away.Add(-1)
		return nil, 0, &semper.Error{Code: semper.Unavailable, Err: errAway}
	}
	return s.Store.List(ctx, prefix)
}

func (s *brokenStore) Commit(ctx context.Context, t semper.Txn) (int64, error) {
	if s.commit.Swap(false) {
		panic("the store broke")
	}
	return s.Store.Commit(ctx, t)
}

func (s *brokenStore) Lead(ctx context.Context, role, id string) (semper.Leadership, error) {
	if s.lead.Swap(false) {
		panic("the election broke")
	}
	return s.Store.Lead(ctx, role, id)
}

func (s *brokenStore) Get(ctx context.Context, key string) (semper.Item, error) {
	if s.get.Swap(false) {
		panic("the read broke")
	}
	return s.Store.Get(ctx, key)
}

// on runs f with a control process on s, whose tree must be gone in the end.
func on(t *testing.T, f func(t *testing.T, m *machine, s *brokenStore, c *control.Control)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		defer m.follow()()
		s := &brokenStore{Store: m.store}
		c, stop := m.run(s)
		defer stop()
		f(t, m, s, c)
	})
}

// ends are the children that ended, each as "child kind", from the n-th event on.
func (m *machine) ends(n int) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, e := range m.events[n:] {
		if e.Kind == supervise.Ended || e.Kind == supervise.Stopped || e.Kind == supervise.Terminated {
			out = append(out, e.Child+" "+e.Kind.String())
		}
	}
	return out
}

func (m *machine) seen() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.events)
}

func TestPanicInTheModelCostsOneCommand(t *testing.T) {
	on(t, func(t *testing.T, m *machine, s *brokenStore, c *control.Control) {
		deploy(t, c, "one")
		synctest.Wait()
		n := m.seen()
		s.commit.Store(true)
		_, err := c.Hold(t.Context(), "", "", api.HoldRequest{Writes: true, By: "tester"})
		if semper.CodeOf(err) != semper.Internal || !strings.Contains(err.Error(), "may have been stored or not") || !strings.Contains(err.Error(), "the store broke") {
			t.Fatalf("the command in whose middle the model broke: %v", err)
		}
		deploy(t, c, "two") // by the next model
		if s := current(t, c); s.Release != "r2" || len(s.Hold) > 0 {
			t.Fatalf("after it: %s, hold %v", s.Release, s.Hold)
		}
		if len(m.reports) != 1 || m.reports[0].Label != "model" || m.reports[0].LastMessage != "command hold" || !strings.Contains(m.reports[0].Stack, "Commit") {
			t.Fatalf("crash reports: %+v", m.reports)
		}
		if strings.Contains(m.reports[0].State, "map[") || !strings.Contains(m.reports[0].State, "1 environments") {
			t.Errorf("the state in the report is %q", m.reports[0].State)
		}
		ends := m.ends(n)
		if i := slices.Index(ends, "model ended"); i < 0 || slices.Index(ends, "keeper watch stopped") < i || slices.Contains(ends, "leader ended") || slices.Contains(ends, "lease stopped") {
			t.Errorf("what ended: %q", ends)
		}
		for id, times := range m.started {
			if times != 1 {
				t.Errorf("%s was started %d times", id, times)
			}
		}
	})
}

func TestModelThatBreaksForEverGivesTheTermUp(t *testing.T) {
	on(t, func(t *testing.T, m *machine, s *brokenStore, c *control.Control) {
		deploy(t, c, "one")
		for range 6 {
			s.commit.Store(true)
			if _, err := c.Hold(t.Context(), "", "", api.HoldRequest{Writes: true, By: "tester"}); semper.CodeOf(err) != semper.Internal {
				t.Fatalf("while it breaks: %v", err)
			}
		}
		if ends := m.ends(0); !slices.Contains(ends, "leader ended") || slices.Contains(ends, "seeker ended") {
			t.Errorf("what ended: %q", ends)
		}
		if deploy(t, c, "two"); current(t, c).Release != "r2" {
			t.Error("the next term does not work")
		}
	})
}

// TestCommandWaitsForTheStore breaks the model while the store cannot be read: a command waits until it can.
func TestCommandWaitsForTheStore(t *testing.T) {
	on(t, func(t *testing.T, m *machine, s *brokenStore, c *control.Control) {
		deploy(t, c, "one")
		for _, times := range []int32{1, 2, 20} { // one restart more, two, and more than the term has
			s.away.Store(times)
			s.commit.Store(true)
			if _, err := c.Hold(t.Context(), "", "", api.HoldRequest{Writes: true, By: "tester"}); semper.CodeOf(err) != semper.Internal {
				t.Fatalf("the command in whose middle the model broke: %v", err)
			}
			if _, err := c.Resume(t.Context(), "", "", api.HoldRequest{By: "tester"}); err != nil {
				t.Errorf("with the store away %d times: %v", times, err)
			}
			if n := s.away.Load(); n != 0 {
				t.Errorf("it was performed with the store away %d more times", n)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestLostLeadershipEndsTheTermInOrder(t *testing.T) {
	on(t, func(t *testing.T, m *machine, _ *brokenStore, c *control.Control) {
		deploy(t, c, "one")
		synctest.Wait()
		n, key := m.seen(), store.LeadKey("control")
		if _, err := m.store.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: key, Delete: true}}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{"lease ended", "edges watch stopped", "keeper watch stopped", "work stopped", "model stopped", "leader ended"}
		ends := slices.DeleteFunc(m.ends(n), func(s string) bool { return !slices.Contains(want, s) })
		if !slices.Equal(ends, want) {
			t.Fatalf("the term ended as %q, want %q", ends, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Hold(ctx, "", "", api.HoldRequest{Writes: true, By: "tester"}); semper.CodeOf(err) != semper.Unavailable || !strings.Contains(err.Error(), "nothing was changed") {
			t.Fatalf("a command between two terms: %v", err)
		}
		if deploy(t, c, "two"); current(t, c).Release != "r2" || len(current(t, c).Hold) > 0 {
			t.Error("the next term does not work, or took what was withdrawn")
		}
	})
}

func TestPanicInAProberIsNotTheTermsMatter(t *testing.T) {
	on(t, func(t *testing.T, m *machine, _ *brokenStore, c *control.Control) {
		m.mu.Lock()
		m.broken = true
		m.mu.Unlock()
		r := request("one")
		svc := r.Spec.Services["web"]
		svc.Health = semper.Health{Kind: semper.HealthExec, Exec: []string{"true"}, Interval: semper.Duration(time.Second), Timeout: semper.Duration(time.Second), Failures: 3}
		r.Spec.Services["web"] = svc
		waitLive(t, c, r)
		if m.execs < 3 {
			t.Errorf("%d checks, want the broken one and one of each instance", m.execs)
		}
		ends := m.ends(0)
		if !slices.ContainsFunc(ends, func(s string) bool { return strings.HasPrefix(s, "probe bar/web.r1.") && strings.HasSuffix(s, "ended") }) || slices.Contains(ends, "model ended") {
			t.Errorf("what ended: %q", ends)
		}
	})
}

func waitLive(t *testing.T, c *control.Control, r api.DeployRequest) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := c.Deploy(ctx, r)
	if err == nil {
		out, err = c.WaitRollout(ctx, "bar", "", out.ID, "live")
	}
	if err != nil || !out.State.Live() {
		t.Fatalf("%s %v: %s", out.State, err, out.Reason)
	}
}

// TestPanicInACommandIsTriedAgain breaks the staging of an artifact: the command must not count as being performed for ever.
func TestPanicInACommandIsTriedAgain(t *testing.T) {
	on(t, func(t *testing.T, m *machine, _ *brokenStore, c *control.Control) {
		m.mu.Lock()
		m.stagePanics = 2
		m.mu.Unlock()
		if r := deploy(t, c, "one"); !r.State.Live() {
			t.Fatalf("%s: %s", r.State, r.Reason)
		}
		ends := m.ends(0)
		if n := len(slices.DeleteFunc(ends, func(s string) bool { return !strings.HasPrefix(s, "stage ") })); n != 3 {
			t.Errorf("staged %d times, want 2 that broke and one that did not", n)
		}
	})
}

func TestPanicInTheSeekerSeeksAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		defer m.follow()()
		s := &brokenStore{Store: m.store}
		s.lead.Store(true)
		s.get.Store(true) // of the eviction
		c, stop := m.run(s)
		defer stop()
		if r := deploy(t, c, "one"); !r.State.Live() {
			t.Fatalf("%s: %s", r.State, r.Reason)
		}
		if ends := m.ends(0); !slices.Contains(ends, "seeker ended") {
			t.Errorf("what ended: %q", ends)
		}
	})
}

// TestCommandOutlivesTheModelItWaitedFor has many commands wait for one model when that breaks: one is lost, and says so;
// the others are performed by the next model, each once.
func TestCommandOutlivesTheModelItWaitedFor(t *testing.T) {
	on(t, func(t *testing.T, m *machine, s *brokenStore, c *control.Control) {
		deploy(t, c, "one")
		synctest.Wait()
		before := secretEvents(t, c)
		s.commit.Store(true)
		answers := make(chan error)
		const n = 100 // more than may wait in the mailbox
		for range n {
			go func() { _, err := c.SetSecret(t.Context(), "bar", "key", nil, "tester"); answers <- err }()
		}
		lost := 0
		for range n {
			if err := <-answers; semper.CodeOf(err) == semper.Internal {
				lost++
			} else if err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if done := secretEvents(t, c) - before; lost != 1 || done != n-1 {
			t.Errorf("%d commands lost, %d performed, want 1 and %d", lost, done, n-1)
		}
	})
}

func secretEvents(t *testing.T, c *control.Control) (n int) {
	t.Helper()
	events, err := c.Events(t.Context(), "bar", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for e := range events {
		if e.Kind == "secret.set" {
			n++
		}
	}
	return n
}

// TestReadersEndWithTheTree has a reader whose own context does not end.
func TestReadersEndWithTheTree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		defer m.follow()()
		c, stop := m.run(m.store)
		deploy(t, c, "one")
		events, err := c.Events(t.Context(), "", 0, true)
		if err != nil {
			t.Fatal(err)
		}
		<-events
		stop()
		for range events { // until it is closed
		}
		if _, err := c.Events(t.Context(), "", 0, true); semper.CodeOf(err) != semper.Unavailable {
			t.Errorf("a reader after the end: %v", err)
		}
	})
}
