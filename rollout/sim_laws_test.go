package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/rollout"
)

// laws hold after every action.
func (s *sim) laws() {
	for _, p := range given(s.table) {
		for _, b := range p.Backend {
			if rel := releaseOf(b.ID); rel != p.Release {
				s.failf("L2: pool of %s names %s", p.Release, b.ID)
			}
		}
	}
	s.declared()
	s.leave()
	s.cut()
	s.migrates()
	s.variants()
	ids := make(map[semper.InstanceID]bool)
	outgoing := append(append(slices.Clone(s.env.Retiring), orZero(s.env.Previous)), rollout.Compared(s.env)...)
	for _, p := range outgoing {
		for _, u := range p.Instances {
			if ids[u.ID] {
				s.failf("%s stands in two outgoing placements", u.ID)
			}
			ids[u.ID] = true
		}
	}
	if c := s.env.Current; c != nil {
		for _, u := range c.Instances {
			if ids[u.ID] {
				s.failf("%s is current and outgoing", u.ID)
			}
		}
	}
}

func orZero(p *semper.Placement) semper.Placement {
	if p == nil {
		return semper.Placement{}
	}
	return *p
}

func releaseOf(id semper.InstanceID) semper.ReleaseName {
	parts := strings.Split(string(id), ".")
	if len(parts) != 3 || !strings.HasPrefix(parts[0], "app/") || !strings.HasPrefix(parts[1], "r") {
		return ""
	}
	return semper.ReleaseName(parts[1])
}

// settle lets the world become calm: the rollout must end and only the current release be left.
func (s *sim) settle() {
	for range 600 {
		s.calm()
		s.control()
		for len(s.pending) > 0 {
			s.do(s.pending[0])
			s.pending = s.pending[1:]
		}
		for id, in := range s.instances {
			switch {
			case isTask(id):
				s.end(id, in)
			case in.stopped:
				delete(s.instances, id)
			case in.told && !in.Drained:
				s.finishOwn(id, in)
			case in.State == semper.Starting && !in.broken:
				in.State = semper.Ready
			case in.State == semper.Waiting && !in.broken:
				in.State = semper.Starting
			case in.broken && in.State != semper.Ready:
				in.State, in.Restarts = semper.Waiting, in.Restarts+1
				in.LastEnd = &semper.End{At: s.now, Reason: semper.Reason{Kind: semper.ReasonExit, Code: 1}, GaveUp: true}
			}
		}
		clear(s.inFlight)
		clear(s.writing)
		for _, e := range s.edges {
			e.table, e.dead = s.table, false
		}
		s.desk = simEdge{table: s.table}
		s.now = s.now.Add(20 * time.Second)
		s.laws()
		if s.settled() == "" {
			return
		}
	}
	s.failf("not calm after 600 rounds: %s", s.settled())
}

// settled says what is not as it should be when everything has come to its end, or "".
func (s *sim) settled() string {
	if r := s.env.Rollout; r != nil && !r.State.Ended() {
		return fmt.Sprintf("rollout %s is at %s", r.ID, r.State)
	}
	want := 0
	if s.env.Current != nil {
		want = len(s.env.Current.Instances)
	}
	for _, p := range rollout.Compared(s.env) {
		want += len(p.Instances)
	}
	if len(s.instances) != want || len(s.env.Retiring) > 0 {
		return fmt.Sprintf("%d instances run, %d should: retiring %v", len(s.instances), want, s.env.Retiring)
	}
	return s.unsettled()
}
