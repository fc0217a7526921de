package delivery

import (
	"slices"
	"time"

	"semper"
	"semper/pipeline"
	"semper/pipeline/attest"
	"semper/pipeline/course"
)

// busy is when a run that found an environment busy looks again though nothing happened.
const busy = 3 * time.Second

// Promote moves every run on by what is true with c, and says when to look again; zero for never.
func (d *Desk) Promote(o Office, c *Change) time.Time {
	d.Commands = nil
	clear(d.pending)
	d.tendHooks(o, c)
	var next time.Time
	runs := d.records.Runs("")
	if len(runs) == 0 && len(d.records.Policies()) == 0 {
		return next
	}
	if key, generation := d.signer(); key != nil {
		c.Trust(key, attest.Trusted{Public: key.Public(), From: o.Now(), Generation: generation})
	}
	for _, r := range slices.Backward(runs) { // the oldest first
		run, _ := c.Run(r.ID)
		dec := pipeline.Step(run, d.world(o, c, run))
		d.Commands = append(d.Commands, dec.Commands...)
		if run.State == course.Running {
			d.pending[run.ID] = dec.Waiting
		}
		if dec.Deploy != "" {
			d.enter(o, c, &dec)
		}
		if err := d.take(o, c, dec); err != nil {
			d.pending[run.ID] = err.Error()
			continue
		}
		if !dec.Wake.IsZero() && (next.IsZero() || dec.Wake.Before(next)) {
			next = dec.Wake
		}
	}
	return next
}

// take puts what was decided of a run into the transaction; nothing of it where its statements cannot be signed.
func (d *Desk) take(o Office, c *Change, dec pipeline.Decision) error {
	if !dec.Changed {
		return nil
	}
	for _, p := range dec.Statements {
		if err := c.Attest(p, aboutRun(dec.Run)); err != nil {
			return err
		}
	}
	c.SetRun(dec.Run)
	o.Tell(dec.Events...)
	return nil
}

func aboutRun(r course.Run) pipeline.Subject {
	return pipeline.Subject{Artifact: r.Artifact, Config: r.Config}
}

// enter begins the rollout that a run is ready for. Where the environment is busy the run waits; one that the environment can never have has failed.
func (d *Desk) enter(o Office, c *Change, dec *pipeline.Decision) {
	run := dec.Run
	rel, err := o.Release(run.App, run.Release)
	if err == nil {
		var ro semper.Rollout
		if ro, err = o.Deploy(semper.Environment{App: run.App, Name: dec.Deploy}.Key(), rel, run.ID); err == nil {
			c.Serve(run.App, dec.Deploy, pipeline.SubjectOf(rel))
			entered, events := pipeline.Entered(run, ro, o.Now())
			dec.Run, dec.Changed, dec.Events = entered, true, append(dec.Events, events...)
			return
		}
	}
	if semper.CodeOf(err) == semper.Conflict {
		d.pending[run.ID] = err.Error()
		dec.Wake = o.Now().Add(busy)
		return
	}
	refused, events := pipeline.Refused(run, err.Error(), o.Now())
	dec.Run, dec.Changed, dec.Events = refused, true, append(dec.Events, events...)
}

func (d *Desk) world(o Office, c *Change, run course.Run) pipeline.World {
	w := pipeline.World{
		Now: o.Now(), Stopped: d.records.Stopped(run.App), Environments: map[string]semper.Environment{}, Units: o.Units(run.App), Answers: d.answers,
	}
	if run.State != course.Running {
		return w // it has nothing to go by any more, only commands to end
	}
	w.InForce, _ = d.records.Policy(run.App)
	w.Proofs = c.Proofs(run.App, aboutRun(run))
	for _, other := range c.Runs(run.App) {
		if other.ID != run.ID {
			w.Others = append(w.Others, other)
		}
	}
	for _, s := range run.Stages {
		if e := o.Env(semper.Environment{App: run.App, Name: s.Environment}.Key()); e.App != "" {
			w.Environments[s.Environment] = e
		}
	}
	return w
}
