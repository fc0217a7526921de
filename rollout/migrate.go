package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"semper"
)

const (
	// MigrateService is what the units of a migration are called among the services of an app.
	MigrateService = "migrate"
	// holdGrace is how much longer than a migration its hold lasts while nobody decides: what runs too long is killed first.
	holdGrace = 10 * time.Second
	// keepMigrated is of how many releases an environment remembers that they migrated.
	keepMigrated = 200
)

// plan is the migration of r's release, nil where it has none.
func (d *step) plan(r *semper.Rollout) *semper.Migration { return d.w.Releases[r.To].Spec.Migrate }

// migrateOrCutOver is the end of ready: what a release needs done once is done before it is connected.
func (d *step) migrateOrCutOver(r *semper.Rollout) {
	_, had := d.Env.Migrated[r.To]
	if m := r.Migration; d.plan(r) == nil || r.Kind != semper.KindDeploy || m == nil && had || m != nil && m.Done {
		d.cutOver(r)
		return
	}
	plan := d.plan(r)
	r.Migration = &semper.MigrationRun{
		Unit:  semper.PlacedUnit{ID: nextInstance(&d.Env, MigrateService, r.To), Service: MigrateService},
		Since: d.w.Now,
	}
	deadline := d.w.Now.Add(plan.Deadline.D())
	if plan.Hold == semper.HoldNone || d.Env.Current == nil {
		d.enter(r, semper.RolloutMigrate, deadline, "nothing waits for it")
		return
	}
	r.Migration.Epoch = d.w.NextEpoch
	d.enter(r, semper.RolloutHold, deadline, fmt.Sprintf("epoch %d holds %s", r.Migration.Epoch, Held(plan.Hold)))
}

// Held says in words what h makes wait.
func Held(h semper.Holding) string {
	if h == semper.HoldWrites {
		return "requests with unsafe methods"
	}
	return "all requests"
}

// holding waits until nothing is under way any more that the migration must not meet. What does not end in the time that a
// drain gives it ends the rollout, and not the request: nothing has been changed yet.
func (d *step) holding(r *semper.Rollout) bool {
	plan, m := d.plan(r), r.Migration
	switch {
	case plan == nil:
		return d.fail(r, fmt.Sprintf("release %s has no migration any more", r.To), "")
	case r.Trial != nil && d.fallen(r):
		return true
	case !d.w.Now.Before(r.Deadline):
		return d.fail(r, fmt.Sprintf("what was under way did not end within %s; nothing was migrated", plan.Deadline), "")
	case d.w.Acked < m.Epoch:
		d.Waiting = fmt.Sprintf("every edge to acknowledge epoch %d (the slowest is at %d)", m.Epoch, d.w.Acked)
		d.wake(r.Deadline)
		return false
	}
	requests, jobs, end := 0, 0, d.Env.Current.Drain.Request.D()
	for _, p := range Placements(d.Env) {
		for _, u := range p.Instances {
			f := d.w.InFlight[u.ID]
			requests += underWay(plan.Hold, f)
			jobs += f[semper.ClassJob]
		}
	}
	until := r.EnteredAt.Add(end)
	switch {
	case requests+jobs == 0:
		d.enter(r, semper.RolloutMigrate, r.Deadline, "nothing is under way that it could meet")
		return true
	case !d.w.Now.Before(until):
		why := fmt.Sprintf("%s did not end within %s (drain.request); nothing was migrated", InHand(requests, jobs), end)
		if jobs > 0 {
			why += `; "semper queue pause NAME --drain" before the deploy waits for jobs as long as they take`
		}
		return d.fail(r, why, "")
	}
	d.Waiting = fmt.Sprintf("%s that began before the hold to end", InHand(requests, jobs))
	d.wake(until)
	d.wake(r.Deadline)
	return false
}

// underWay is how many requests of f a migration that holds h must not meet. Streams and upgraded connections go on: they would last
// longer than anybody can wait. Jobs are told apart: any of them may write.
func underWay(h semper.Holding, f semper.InFlight) int {
	if h == semper.HoldWrites {
		return f[semper.ClassWrite]
	}
	return f[semper.ClassRequest] + f[semper.ClassWrite]
}

// migrating runs the command, once: whether one that nobody knows of any more ended well cannot be found out by doing it again.
func (d *step) migrating(r *semper.Rollout) bool {
	m := r.Migration
	in, known := d.w.Instances[m.Unit.ID]
	switch {
	case m.Failed != "":
		return d.give(r, in, known)
	case d.plan(r) == nil:
		d.spoil(r, fmt.Sprintf("release %s has none any more", r.To))
		return true
	case known && !m.Seen:
		m.Seen, d.Changed = true, true
		return true
	case known && in.State == semper.Ended:
		return d.migrated(r, in)
	case !known && m.Seen:
		d.spoil(r, fmt.Sprintf("%s is not known to the keeper any more: whether it ended well cannot be told", m.Unit.ID))
		return true
	case !d.w.Now.Before(r.Deadline):
		d.spoil(r, fmt.Sprintf("it did not end within %s", d.plan(r).Deadline))
		return true
	}
	d.Waiting = fmt.Sprintf("%s to end", m.Unit.ID)
	d.wake(r.Deadline)
	return false
}

// migrated goes by how the command ended.
func (d *step) migrated(r *semper.Rollout, in Instance) bool {
	m := r.Migration
	if e := in.LastEnd; e == nil || e.Reason.Kind != semper.ReasonNormal {
		why := "ended unseen"
		if e != nil {
			why, r.Tail = e.Reason.String(), e.Tail
		}
		if e != nil && e.Reason.Kind == semper.ReasonDeadline { // its keeper was the first to look at a clock
			why = fmt.Sprintf("it did not end within %s", d.plan(r).Deadline)
		}
		d.spoil(r, why)
		return true
	}
	m.Done = true
	d.remember(r, "")
	grace := time.Duration(0)
	for svc := range r.Target.Scale {
		grace = max(grace, d.w.Releases[r.To].Spec.Services[svc].Health.Grace.D())
	}
	d.enter(r, semper.RolloutReady, d.w.Now.Add(grace), fmt.Sprintf("migrated in %s", in.LastEnd.Uptime.D().Round(time.Millisecond)))
	return true
}

// spoil says that the migration failed. The release is bad from now on; what is left is to end what runs, and to undo it.
func (d *step) spoil(r *semper.Rollout, why string) {
	r.Migration.Failed = why
	r.Instance = r.Migration.Unit.ID
	d.remember(r, why)
	d.Changed = true
	d.event("migration.failed", fmt.Sprintf("%s: the migration of %s failed: %s", r.ID, r.To, why), nil)
}

// give waits for the end of a command that failed or took too long, and has it undone where the release says how.
func (d *step) give(r *semper.Rollout, in Instance, known bool) bool {
	m, plan := r.Migration, d.plan(r)
	if known && in.State != semper.Ended {
		d.Waiting = fmt.Sprintf("%s to be stopped", m.Unit.ID)
		return false // want() gives the command
	}
	if r.Tail == nil && in.LastEnd != nil {
		r.Tail = in.LastEnd.Tail
	}
	if plan == nil || len(plan.OnFailure) == 0 || !m.Seen {
		return d.fail(r, "the migration failed: "+m.Failed, m.Unit.ID)
	}
	until := d.w.Now.Add(plan.Deadline.D())
	if m.Epoch != 0 { // nobody may meet what undoes it, however late it began
		if end := m.Since.Add(holdFor(plan) - plan.Stop.Timeout.D() - time.Second); end.Before(until) {
			until = end
		}
		if !d.w.Now.Before(until) {
			return d.fail(r, "the migration failed: "+m.Failed+", and no time was left to undo it before requests go on", m.Unit.ID)
		}
	}
	m.Undo = semper.PlacedUnit{ID: nextInstance(&d.Env, MigrateService, r.To), Service: MigrateService}
	d.enter(r, semper.RolloutUndo, until, "the migration failed: "+m.Failed)
	return true
}

// undoing ends with its command, however that ends: the old release serves again, and what is known is in the reason.
func (d *step) undoing(r *semper.Rollout) bool {
	m := r.Migration
	in, known := d.w.Instances[m.Undo.ID]
	var how string
	switch {
	case known && in.State == semper.Ended && in.LastEnd != nil && in.LastEnd.Reason.Kind == semper.ReasonNormal:
		how = "it was undone"
	case known && in.State == semper.Ended && in.LastEnd != nil:
		how = fmt.Sprintf("and what should undo it failed too (%s)", in.LastEnd.Reason)
		r.Tail = in.LastEnd.Tail
	case known && in.State == semper.Ended:
		how = "and what should undo it ended unseen"
	case !d.w.Now.Before(r.Deadline) && known:
		d.Waiting = fmt.Sprintf("%s to be stopped", m.Undo.ID)
		return false // want() gives the command
	case !d.w.Now.Before(r.Deadline):
		how = "and what should undo it did not run"
	default:
		d.Waiting = fmt.Sprintf("%s to end", m.Undo.ID)
		d.wake(r.Deadline)
		return false
	}
	return d.fail(r, fmt.Sprintf("the migration failed: %s; %s", m.Failed, how), m.Unit.ID)
}

// Errand is what runs for the migration of r, as far as r is concerned; nil for nothing.
func Errand(r *semper.Rollout) *semper.Placement {
	m := r.Migration
	if m == nil {
		return nil
	}
	p := semper.Placement{Release: r.To, Generation: r.Target.Generation}
	switch {
	case r.State == semper.RolloutMigrate && m.Failed == "":
		p.Instances = []semper.PlacedUnit{m.Unit}
	case r.State == semper.RolloutUndo:
		p.Instances = []semper.PlacedUnit{m.Undo}
	}
	return &p
}

// errand is what has to run now for the migration of r; nil for nothing.
func (d *step) errand(r *semper.Rollout) *semper.Placement {
	if d.plan(r) == nil || r.State == semper.RolloutUndo && !d.w.Now.Before(r.Deadline) {
		return nil
	}
	return Errand(r)
}

// remember notes how the migration of r's release ended in this environment.
func (d *step) remember(r *semper.Rollout, failed string) {
	e := &d.Env
	if e.Migrated == nil {
		e.Migrated = make(map[semper.ReleaseName]semper.Migrated)
	}
	e.Migrated[r.To] = semper.Migrated{At: d.w.Now, Rollout: r.ID, Failed: failed, Took: semper.Duration(max(0, d.w.Now.Sub(r.Migration.Since)))}
	for len(e.Migrated) > keepMigrated {
		delete(e.Migrated, slices.MinFunc(slices.Collect(maps.Keys(e.Migrated)), func(a, b semper.ReleaseName) int { return a.Number() - b.Number() }))
	}
}

// Migrating reports whether requests to e wait for a migration: from the beginning of its hold to the table that ends it.
func Migrating(e semper.Environment) bool {
	r := e.Rollout
	return r != nil && r.Migration != nil && r.Migration.Epoch != 0 && beforeConnect(r.State)
}

// Moves reports whether epoch next is one that env's rollout waits for to be acknowledged, and has to be published though it sends every
// request as the one before did.
func Moves(env semper.Environment, next semper.Epoch) bool {
	r := env.Rollout
	return r != nil && (r.Epoch == next || r.Migration != nil && r.Migration.Epoch == next)
}

// migrationHold is the hold that an environment's migration asks for; false for none. It begins before the migration does, and
// ends by the table that connects the new release, or by the one of a failure: whoever waited learns in one moment that he may go
// on and where to.
func migrationHold(s Site) (semper.Hold, bool) {
	r := s.Env.Rollout
	if !Migrating(s.Env) {
		return semper.Hold{}, false
	}
	plan := s.Releases[r.To].Spec.Migrate
	if plan == nil {
		return semper.Hold{}, false
	}
	return semper.Hold{Writes: plan.Hold == semper.HoldWrites, Since: r.Migration.Since, Until: r.Migration.Since.Add(holdFor(plan)), By: r.ID}, true
}

// holdFor is how long what plan asks for is held at most.
func holdFor(plan *semper.Migration) time.Duration {
	last := plan.Deadline.D() + plan.Stop.Timeout.D() + holdGrace
	if len(plan.OnFailure) > 0 {
		last += plan.Deadline.D() + plan.Stop.Timeout.D()
	}
	return last
}
