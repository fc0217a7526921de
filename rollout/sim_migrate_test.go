package rollout_test

import (
	"slices"
	"strings"
	"time"

	"semper"
	"semper/rollout"
)

// simMigrations are what becomes of migrations.
var simMigrations = []string{"begun", "ended well", "ended badly", "overdue", "stopped", "forgotten", "undoing", "refused again"}

func isTask(id semper.InstanceID) bool { return strings.HasPrefix(string(id), "app/migrate.") }

// migration is what some releases ask for.
func (s *sim) migration() *semper.Migration {
	if s.r.IntN(3) > 0 {
		return nil
	}
	m := &semper.Migration{
		Service: semper.Service{Command: []string{"migrate"}}, Deadline: semper.Duration(time.Duration(1+s.r.IntN(8)) * 20 * time.Second),
		Hold: pick(s.r, semper.HoldAll, semper.HoldWrites, semper.HoldNone, ""),
	}
	if s.r.IntN(2) == 0 {
		m.OnFailure = []string{"undo"}
	}
	return m
}

// lose forgets what id has in flight.
func (s *sim) lose(id semper.InstanceID) {
	delete(s.inFlight, id)
	delete(s.writing, id)
}

// task is what becomes of a command in the hands of the keeper.
func (s *sim) task(id semper.InstanceID, in *simInstance) {
	switch p := s.r.IntN(12); {
	case in.State == semper.Ended:
		s.forget(id)
	case in.stopped:
		s.exit(in, semper.Reason{Kind: semper.ReasonKilled})
	case !s.now.Before(in.until): // the keeper does not wait to be told
		s.exit(in, semper.Reason{Kind: semper.ReasonDeadline})
		s.migrations["overdue"]++
	case in.broken: // it hangs
	case p == 0 && s.seesEnd(id): // the keeper lost its journal
		s.migrations["forgotten"]++
		delete(s.instances, id)
	case p < 5:
		s.exit(in, semper.Reason{Kind: semper.ReasonNormal})
		if s.undoes(id) {
			return
		}
		s.migrations["ended well"]++
	case p < 7:
		s.exit(in, semper.Reason{Kind: semper.ReasonExit, Code: 1})
		s.migrations["ended badly"]++
	}
}

func (s *sim) exit(in *simInstance, why semper.Reason) {
	in.State, in.LastEnd = semper.Ended, &semper.End{At: s.now, Reason: why, Tail: []string{"it ends"}}
}

// end is task without chance.
func (s *sim) end(id semper.InstanceID, in *simInstance) {
	if in.State != semper.Ended {
		s.exit(in, semper.Reason{Kind: semper.ReasonNormal})
	}
	s.forget(id)
}

// forget drops what has ended and nobody names.
func (s *sim) forget(id semper.InstanceID) {
	for _, p := range rollout.Placements(s.env) {
		for _, u := range p.Instances {
			if u.ID == id {
				return
			}
		}
	}
	delete(s.instances, id)
}

// seesEnd reports whether control knows already that id has run.
func (s *sim) seesEnd(id semper.InstanceID) bool {
	r := s.env.Rollout
	return r != nil && r.Migration != nil && r.Migration.Unit.ID == id && r.Migration.Seen
}

func (s *sim) undoes(id semper.InstanceID) bool {
	r := s.env.Rollout
	return r != nil && r.Migration != nil && r.Migration.Undo.ID == id
}

// begins checks what has to hold when a command starts: nothing that it asks to be held is under way at any instance that has
// traffic, no edge lets it pass, and it has not run to its end before.
func (s *sim) begins(spec semper.InstanceSpec) {
	if !isTask(spec.ID) {
		return
	}
	s.outlived(spec)
	if s.undoes(spec.ID) {
		s.migrations["undoing"]++
		return
	}
	s.migrations["begun"]++
	if done, had := s.env.Migrated[spec.Release]; had && done.Failed == "" {
		s.failf("%s begins though %s was migrated by %s", spec.ID, spec.Release, done.Rollout)
	}
	if s.migrated[spec.ID]++; s.migrated[spec.ID] > 1 {
		s.failf("%s begins a second time", spec.ID)
	}
	m := s.releases[spec.Release].Spec.Migrate
	if r := s.env.Rollout; m.Hold == semper.HoldNone || r.Migration == nil || r.Migration.Unit.ID != spec.ID || r.Migration.Epoch == 0 {
		return
	}
	for id, n := range s.inFlight {
		if isTask(id) || s.instances[id] == nil {
			continue
		}
		if m.Hold == semper.HoldWrites && name(id) != "job" { // any job may write
			n = s.writing[id]
		}
		if n > 0 {
			s.failf("%s begins while %d requests that it holds are under way at %s", spec.ID, n, id)
		}
	}
	for i, e := range s.alive() {
		for _, p := range e.table.Pools {
			if !holds(p.Hold, m.Hold == semper.HoldWrites) {
				s.failf("%s begins while edge %d (epoch %d) holds %+v", spec.ID, i, e.table.Epoch, p.Hold)
			}
		}
	}
}

// outlived checks that no hold ends, with nobody to decide any more, while spec may still run: its keeper has killed it before.
func (s *sim) outlived(spec semper.InstanceSpec) {
	if spec.Until.IsZero() {
		s.failf("%s may run for ever", spec.ID)
	}
	gone := spec.Until.Add(spec.Spec.Stop.Timeout.D())
	for _, p := range s.table.Pools {
		for _, h := range p.Hold {
			if !h.Until.IsZero() && !gone.Before(h.Until) {
				s.failf("%s may run until %v, and its hold ends at %v", spec.ID, gone, h.Until)
			}
		}
	}
}

// holds reports whether a request waits by h.
func holds(h semper.Holds, unsafe bool) bool {
	return slices.ContainsFunc(h, func(h semper.Hold) bool { return unsafe || !h.Writes })
}

// unmet fails where a request goes on at an edge while a command runs that it must not meet.
func (s *sim) unmet(e *simEdge, unsafe bool) {
	r := s.env.Rollout
	if r == nil || r.Migration == nil || r.Migration.Epoch == 0 || r.State != semper.RolloutMigrate {
		return
	}
	if in := s.instances[r.Migration.Unit.ID]; in == nil || in.State == semper.Ended || in.stopped {
		return
	}
	if h := s.releases[r.To].Spec.Migrate.Hold; h == semper.HoldAll || unsafe {
		s.failf("a request (unsafe: %t) goes on at epoch %d while %s runs with hold: %s", unsafe, e.table.Epoch, r.Migration.Unit.ID, h)
	}
}

// migrates checks that production has nothing that was not migrated, that no hold of a migration outlives its rollout, and that
// nothing runs beside a rollout that does not ask for it.
func (s *sim) migrates() {
	r := s.env.Rollout
	if r == nil {
		return
	}
	m := s.releases[r.To].Spec.Migrate
	done, had := s.env.Migrated[r.To]
	switch {
	case r.State == semper.RolloutConnect && r.Kind == semper.KindDeploy && m != nil && (!had || done.Failed != ""):
		s.failf("%s is connected and was not migrated", r.To)
	case r.State == semper.RolloutFailed && r.Migration != nil && r.Migration.Failed != "" && done.Failed == "" && done.Rollout == r.ID:
		s.failf("%s is not bad though its migration failed", r.To)
	}
	if r.State.Ended() || r.State.Live() || r.State == semper.RolloutConnect {
		for id, in := range s.instances {
			if isTask(id) && in.State != semper.Ended {
				s.failf("%s runs though %s is at %s", id, r.ID, r.State)
			}
		}
		for _, p := range s.table.Pools {
			if len(p.Hold) > 0 {
				s.failf("epoch %d holds %s though %s is at %s", s.table.Epoch, p.Key, r.ID, r.State)
			}
		}
	}
}
