package rollout_test

import (
	"time"

	"semper"
)

// simPins are how windows of clients that stick to the release before have to have ended in a simulation that is worth anything.
var simPins = []string{"began", "ran out", "ended by promote", "ended by rollback", "ended by the next", "were turned back", "began on trial"}

// pinFor is a random window of a release that is warm for that long, or none.
func (s *sim) pinFor(warm semper.Duration) semper.Duration {
	if warm == 0 || s.r.IntN(2) == 0 {
		return 0
	}
	return min(warm, semper.Duration(time.Duration(30+s.r.IntN(150))*time.Second))
}

// pins looks at what control has just stored: a window begins at a cutover, with the length that the new release's routes say, and
// ends in its time, or at once where another release takes the place of the one that serves.
func (s *sim) pins(old semper.Environment) {
	was, is, r := old.Previous, s.env.Previous, s.env.Rollout
	before := was != nil && !was.PinnedUntil.IsZero()
	after := is != nil && !is.PinnedUntil.IsZero()
	switch {
	case after && (!before || was.Generation != is.Generation):
		s.ended["began"]++
		if r.Trial != nil {
			s.ended["began on trial"]++
		}
		spec := s.releases[s.env.Current.Release].Spec
		if r.Kind != semper.KindDeploy || r.Hotfix != "" || r.State != semper.RolloutConnect {
			s.failf("L2: clients stick to %s at %s of a %s", is.Release, r.State, r.Kind)
		}
		if got := is.PinnedUntil.Sub(s.now); got != min(spec.Routes[0].StickFor, spec.Warm).D() {
			s.failf("a window of %s, of %s and %s warm", got, spec.Routes[0].StickFor, spec.Warm)
		}
		if before {
			s.ended["ended by the next"]++
		}
	case before && !after:
		s.ended[s.endOf(was, is, r)]++
	}
	if after && (len(is.Instances) == 0 || !is.CutAt.IsZero() || is.CutEpoch != 0) {
		s.failf("clients stick to %+v", is)
	}
}

// endOf is how the window of was ended.
func (s *sim) endOf(was, is *semper.Placement, r *semper.Rollout) string {
	switch {
	case s.env.Current.Generation == was.Generation && r.State == semper.RolloutRollingBack:
		return "were turned back"
	case s.env.Current.Generation == was.Generation:
		return "ended by rollback"
	case is.Generation != was.Generation:
		return "ended by the next"
	case !s.now.Before(was.PinnedUntil):
		return "ran out"
	}
	return "ended by promote"
}

// cut is what stopping goes by: who is cut at an epoch is in no pool of it, and who is on the way out and had traffic is cut at one.
func (s *sim) cut() {
	routed := make(map[semper.InstanceID]bool)
	for _, p := range s.table.Pools {
		for _, b := range p.Backend {
			routed[b.ID] = true
		}
	}
	for _, p := range append([]semper.Placement{orZero(s.env.Previous)}, s.env.Retiring...) {
		for _, u := range p.Instances {
			switch {
			case p.CutEpoch != 0 && p.CutEpoch <= s.table.Epoch && routed[u.ID]:
				s.failf("L4: %s is cut at epoch %d, and epoch %d routes to it", u.ID, p.CutEpoch, s.table.Epoch)
			case p.CutEpoch > s.table.Epoch:
				s.failf("L4: %s is cut at epoch %d, and %d is the newest", u.ID, p.CutEpoch, s.table.Epoch)
			case p.CutEpoch == 0 && p.PinnedUntil.IsZero() && s.served[u.ID]:
				s.failf("L4: %s had traffic and is cut at no epoch", u.ID)
			}
		}
	}
}

// previous is law L2 of a pool of the release before: it is declared, its window is not over by more than control is late, and
// nobody has gone back from it.
func (s *sim) previous(p semper.Pool) {
	is := s.env.Previous
	if is == nil || is.PinnedUntil.IsZero() || p.Release != is.Release || p.Release == s.env.Current.Release {
		s.failf("L2: a pool of %s, to which nobody may stick: %+v", p.Release, is)
	}
	if !p.ReplacedAt.Equal(is.ReplacedAt) {
		s.failf("the pool of %s says that it was replaced at %s, not %s", p.Release, p.ReplacedAt, is.ReplacedAt)
	}
}

// overdue is a window that control, which has just looked, let run on.
func (s *sim) overdue() {
	if p := s.env.Previous; p != nil && !p.PinnedUntil.IsZero() && !s.now.Before(p.PinnedUntil) {
		s.failf("L2: clients stick to %s, whose window was over at %s", p.Release, p.PinnedUntil)
	}
}

// idle reports whether a patient user would do the next thing: nothing is under way, or only a window is.
func (s *sim) idle() bool {
	r := s.env.Rollout
	pinned := s.env.Previous != nil && !s.env.Previous.PinnedUntil.IsZero()
	return r == nil || r.State.Ended() || pinned && r.State.Live()
}

func add(to, more map[string]int) {
	for k, v := range more {
		to[k] += v
	}
}
