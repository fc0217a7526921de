package rollout_test

import (
	"slices"
	"testing"
	"time"

	"semper"
	"semper/rollout"
)

// pinned has r2 live, and clients that stick to r1 for half a minute of the minute for which it is warm.
func pinned(t *testing.T, q rollout.Request) *trialWorld {
	t.Helper()
	s := onTrial(t, semper.Deploy{})
	for name, rel := range s.w.Releases {
		rel.Spec.Routes = []semper.RouteRule{{Path: "/", To: "web", StickFor: semper.Duration(30 * time.Second)}, {Path: "/old", To: "web", StickFor: semper.Duration(10 * time.Second)}}
		s.w.Releases[name] = rel
	}
	q.ID = "d-2"
	s.deploy("r2", q)
	for range 5 {
		s.step()
	}
	if r := s.env.Rollout; s.env.Current.Release != "r2" || r.State != semper.RolloutWatch {
		t.Fatalf("r2 is not live: %s at %s", s.env.Current.Release, r.State)
	}
	return s
}

func (s *trialWorld) previous() *semper.Pool {
	i := slices.IndexFunc(s.table.Pools, func(p semper.Pool) bool { return p.Arm == semper.ArmPrevious })
	if i < 0 {
		return nil
	}
	return &s.table.Pools[i]
}

func TestWhoSticksToTheReleaseBeforeIsServedByItForAWindow(t *testing.T) {
	t.Parallel()
	s := pinned(t, rollout.Request{})
	p := s.previous()
	if p == nil || p.Release != "r1" || len(p.Backend) != 4 || p.Key != "app/production/web@previous" || !p.ReplacedAt.Equal(s.env.Previous.ReplacedAt) {
		t.Fatalf("the pool of who sticks to r1: %+v", p)
	}
	if len(s.table.Draining) != 0 {
		t.Errorf("r1 drains though it serves: %+v", s.table.Draining)
	}
	end := s.env.Previous.PinnedUntil
	if end.Sub(s.env.Previous.ReplacedAt) != 30*time.Second || !s.last.Wake.Equal(end) {
		t.Errorf("the window ends at %s, and it looks again at %s", end, s.last.Wake)
	}

	s.w.Now = end
	s.w.InFlight = map[semper.InstanceID]semper.InFlight{"app/web.r1.1": {semper.ClassRequest: 1}}
	cut := s.w.NextEpoch
	s.step()
	if s.previous() != nil || s.table.Epoch != cut {
		t.Fatalf("epoch %d, after %d, has %+v", s.table.Epoch, cut, s.previous())
	}
	d := s.table.Draining
	if len(d) != 1 || d[0].Release != "r1" || !d[0].Request.Equal(end.Add(s.env.Previous.Drain.Request.D())) {
		t.Errorf("what r1 has in hand is cut at %+v, and its window ended at %s", d, end)
	}
	if s.env.Rollout.State != semper.RolloutWatch || len(s.env.Previous.Instances) == 0 {
		t.Errorf("with the window the warm time ended: %s, %+v", s.env.Rollout.State, s.env.Previous)
	}

	s.w.Now = s.env.Previous.ReplacedAt.Add(time.Minute) // warm is over, and one request is under way
	s.step()
	if _, runs := s.w.Instances["app/web.r1.1"]; !runs || len(s.env.Retiring) != 1 || s.env.Retiring[0].CutEpoch != cut {
		t.Fatalf("r1 retires by %+v", s.env.Retiring)
	}
	s.w.InFlight = nil
	s.step()
	if _, runs := s.w.Instances["app/web.r1.1"]; runs {
		t.Error("r1 runs on with nothing in hand")
	}
}

func TestAWindowEndsAtOnceWith(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		do      func(s *trialWorld)
		current semper.ReleaseName
		cut     semper.ReleaseName // by the epoch that ends the window
	}{
		"a rollback": {func(s *trialWorld) {
			env, _, err := rollout.Rollback(s.env, s.w.Releases["r1"], rollout.Request{ID: "d-3", Now: s.w.Now})
			if err != nil {
				s.t.Fatal(err)
			}
			s.env = env
			s.step()
		}, "r1", "r2"},
		"a verdict": {func(s *trialWorld) {
			s.w.Verdict = &semper.Verdict{Rollout: "d-2", Outcome: semper.Worse, Why: "it is worse"}
			s.step()
		}, "r1", "r2"},
		"promote": {func(s *trialWorld) {
			d, err := rollout.Promote(s.env, s.w, rollout.Promotion{By: "ann"})
			if err != nil {
				s.t.Fatal(err)
			}
			s.take(d)
		}, "r2", "r1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pinned(t, rollout.Request{})
			cut := s.w.NextEpoch
			tc.do(s)
			if s.env.Current.Release != tc.current || s.previous() != nil || s.table.Epoch != cut {
				t.Fatalf("%s is current, epoch %d after %d, with %+v", s.env.Current.Release, s.table.Epoch, cut, s.previous())
			}
			if !slices.ContainsFunc(s.table.Draining, func(d semper.Draining) bool { return d.Release == tc.cut }) {
				t.Errorf("%s does not drain: %+v", tc.cut, s.table.Draining)
			}
			if i := slices.IndexFunc(s.env.Retiring, func(p semper.Placement) bool { return p.Release == tc.cut }); i >= 0 && s.env.Retiring[i].CutEpoch != cut {
				t.Errorf("%s is cut at %d, not %d", tc.cut, s.env.Retiring[i].CutEpoch, cut)
			}
		})
	}
}

func TestTheNextReleaseHasTheWindowOfTheOneBefore(t *testing.T) {
	t.Parallel()
	s := pinned(t, rollout.Request{})
	cut := s.w.NextEpoch
	s.deploy("r3", rollout.Request{ID: "d-3"})
	for range 3 {
		s.step()
	}
	if p := s.previous(); p == nil || p.Release != "r2" {
		t.Fatalf("after r3 clients stick to %+v", p)
	}
	if i := slices.IndexFunc(s.env.Retiring, func(p semper.Placement) bool { return p.Release == "r1" }); i >= 0 && s.env.Retiring[i].CutEpoch < cut {
		t.Errorf("r1 is cut at %d, before %d", s.env.Retiring[i].CutEpoch, cut)
	}
}

func TestNobodySticksToWhatAHotfixReplaces(t *testing.T) {
	t.Parallel()
	s := pinned(t, rollout.Request{Hotfix: "r1 is on fire"})
	if p := s.previous(); p != nil || s.env.Previous.CutEpoch == 0 {
		t.Errorf("clients stick to %+v", p)
	}
}
