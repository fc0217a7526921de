package control

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/control/delivery"
	"semper/control/prepare"
	"semper/internal/pause"
	"semper/pipeline"
	"semper/pipeline/course"
	"semper/rollout"
)

// ofGate tells what runs for a gate from what is placed.
func ofGate(s semper.InstanceSpec) bool { return strings.HasPrefix(s.Service, pipeline.UnitService) }

// releasesIn are the releases of an app as they are in an environment.
func (m *model) releasesIn(e semper.Environment) map[semper.ReleaseName]semper.Release {
	all, key := m.releases[e.App], e.Key()
	in := m.resolved[key]
	if in != nil && len(in) == len(all) {
		return in
	}
	in = maps.Clone(in) // who has the old one keeps it
	if in == nil {
		in = make(map[semper.ReleaseName]semper.Release, len(all))
	}
	for name, rel := range all {
		if _, known := in[name]; !known {
			rel.Spec = rel.Spec.In(e.Name)
			in[name] = rel
		}
	}
	m.resolved[key] = in
	return in
}

// office is a change as the desk sees it.
type office struct{ t *change }

func (o office) Now() time.Time                                   { return o.t.now }
func (o office) Env(key semper.EnvironmentKey) semper.Environment { return o.t.env(key) }
func (o office) Tell(events ...semper.Event)                      { o.t.events = append(o.t.events, events...) }
func (o office) LastEvent() int64                                 { return o.t.m.counters.value.Event }
func (o office) Release(app string, name semper.ReleaseName) (semper.Release, error) {
	return o.t.m.release(app, name)
}

// Deploy implements delivery.Office.
func (o office) Deploy(key semper.EnvironmentKey, rel semper.Release, by string) (semper.Rollout, error) {
	t := o.t
	env := t.env(key)
	env.App, env.Name, _ = strings.Cut(string(key), "/")
	rel.Spec = rel.Spec.In(env.Name)
	if err := t.m.conflicts(env, rel.Spec); err != nil {
		return semper.Rollout{}, err
	}
	count := t.count
	next, events, err := rollout.Deploy(env, rel, t.request(by))
	if err != nil {
		t.count = count
		return semper.Rollout{}, err
	}
	delete(t.m.staged, rel.Artifact) // look again: the disk may have changed
	if len(events) > 0 {             // else it serves there already, and what is stored stays
		t.setEnv(next)
		o.Tell(events...)
	}
	return *next.Rollout, nil
}

// Units implements delivery.Office.
func (o office) Units(app string) map[semper.InstanceID]pipeline.Unit {
	out := make(map[semper.InstanceID]pipeline.Unit)
	for id, in := range o.t.m.instances {
		if s := in.status; ofGate(s.Spec) && s.Spec.App == app {
			out[id] = pipeline.Unit{Ended: s.State == semper.Ended, End: s.LastEnd, Scratch: s.Scratch}
		}
	}
	return out
}

// performPipelines has done what the last decision asks for, and says when to look again.
func (m *model) performPipelines(c *Control) time.Time {
	for _, cmd := range m.desk.Commands {
		switch cmd := cmd.(type) {
		case pipeline.Start:
			m.startGate(c, cmd.Spec)
		case pipeline.Stop:
			m.do(c, rollout.Stop{ID: cmd.ID, Why: cmd.Why})
		}
	}
	for _, e := range m.desk.Errands(c.o.Client, c.o.Machine.Open) {
		m.once("ask "+e.Key, func(ctx context.Context) func() {
			a := e.Do(ctx)
			if ctx.Err() != nil {
				return func() {} // the term ends: the next asks again
			}
			return func() { m.desk.Answered(e.Key, a) }
		}, c)
	}
	tellings, next := m.desk.Tellings(time.Now(), m.events, func(id string) bool { return m.doing["webhook "+id] })
	for _, t := range tellings {
		m.once("webhook "+t.ID, func(ctx context.Context) func() { // a child of its own: one that hangs holds up nobody
			h := t.Send(ctx, c.o.Secrets.Get)
			return func() {
				t := m.newChange(time.Now())
				m.desk.Told(office{t}, t.desk, h)
				if err := c.keep(m, t); err != nil {
					c.o.Log.Warn("how far a webhook has come is not stored; it may be told again", "webhook", h.URL, "error", err)
				}
			}
		}, c)
	}
	return next
}

// startGate stages the artifact and starts the command; both may be done twice.
func (m *model) startGate(c *Control, spec semper.InstanceSpec) {
	m.once("gate "+string(spec.ID), func(ctx context.Context) func() {
		err := c.stage(ctx, spec.Artifact)
		if err == nil {
			spec.Spec.Env, err = prepare.Pin(c.o.Secrets.Newest, spec.App, "gate "+spec.Service, spec.Spec.Env)
		}
		var st semper.InstanceStatus
		if err == nil {
			st, err = c.o.Keeper.Start(ctx, spec)
		}
		if err != nil {
			c.o.Log.Warn("command of a gate not started; trying again", "instance", spec.ID, "error", err)
			pause.For(ctx, retryable)
			return func() {}
		}
		return func() {
			if m.instances[spec.ID] == nil {
				m.observeOne(c, st)
			}
		}
	}, c)
}

// conflicts refuses a spec whose routes another environment has.
func (m *model) conflicts(e semper.Environment, spec semper.Spec) error {
	return prepare.Conflicts(m.environments(), m.releases, e, spec)
}

// environments are all, as stored.
func (m *model) environments() map[semper.EnvironmentKey]semper.Environment {
	envs := make(map[semper.EnvironmentKey]semper.Environment, len(m.envs))
	for k, e := range m.envs {
		envs[k] = e.value
	}
	return envs
}

// StartRun implements api.Delivery.
func (c *Control) StartRun(ctx context.Context, r api.DeployRequest) (course.Run, error) {
	r, err := c.prepare(r)
	if err != nil {
		return course.Run{}, err
	}
	if r.Hotfix != "" {
		return course.Run{}, &semper.Error{Code: semper.Invalid, Op: "pipeline run", Message: "a hotfix leaves the gates out, and a run is to pass them", Hint: "semper deploy --hotfix WHY"}
	}
	if err := c.has(r.Artifact, "pipeline run"); err != nil {
		return course.Run{}, err
	}
	var out course.Run
	err = c.desk(ctx, "pipeline run", func(d *delivery.Desk, t *change, who api.Caller) error {
		if err := d.Declare(office{t}, t.desk, r, who); err != nil {
			return err
		}
		rel, isNew := prepare.Release(t.m.releases[r.Spec.App], r)
		if isNew {
			t.rel = &rel
		}
		t.count.Run++
		out, err = d.Begin(office{t}, t.desk, rel, t.count.Run, r.By)
		return err
	})
	return out, err
}

// has refuses an artifact that is not stored.
func (c *Control) has(d semper.Digest, op string) error {
	ok, err := c.o.Blobs.Has(d)
	if err == nil && !ok {
		err = &semper.Error{Code: semper.NotFound, Op: op, Message: fmt.Sprintf("artifact %s is not stored here", d.Short()), Hint: "upload it first"}
	}
	return err
}

// desk has the model's desk do f, and stores what comes of it: what somebody was refused is on record too.
func (c *Control) desk(ctx context.Context, op string, f func(*delivery.Desk, *change, api.Caller) error) error {
	who := api.CallerOf(ctx)
	return c.ask(ctx, op, func(m *model) error {
		t := m.newChange(time.Now())
		failed := f(m.desk, t, who)
		if failed != nil && (semper.CodeOf(failed) != semper.Forbidden || !t.desk.Empty()) {
			return failed
		}
		if err := c.keep(m, t); err != nil && failed == nil {
			return err
		}
		return failed
	})
}

// surface is the part of the API that is the desk's alone.
func (c *Control) surface() delivery.Surface {
	return delivery.Surface{
		Do: func(ctx context.Context, op string, f func(*delivery.Desk, delivery.Office, *delivery.Change, api.Caller) error) error {
			return c.desk(ctx, op, func(d *delivery.Desk, t *change, who api.Caller) error { return f(d, office{t}, t.desk, who) })
		},
		See: func(ctx context.Context, op string) (*delivery.View, error) {
			v, err := c.see(ctx, op)
			if err != nil {
				return nil, err
			}
			return v.desk, nil
		},
	}
}

// keep stores t, which concerns no environment.
func (c *Control) keep(m *model, t *change) error {
	if t.empty() {
		return nil
	}
	if err := m.commit(*t); err != nil {
		return unavailable(err)
	}
	c.publish(m)
	return nil
}

// User is who has a token or a session of that digest.
func (c *Control) User(digest string) (api.Caller, bool) {
	if v := c.view.Load(); v != nil {
		return v.desk.User(digest)
	}
	return api.Caller{}, false
}

// Pipelines implements api.Delivery.
func (c *Control) Pipelines(ctx context.Context, app string) ([]api.PipelineStatus, error) {
	v, err := c.see(ctx, "pipeline")
	if err != nil {
		return nil, err
	}
	return v.desk.Pipelines(app, func(key semper.EnvironmentKey) semper.ReleaseName {
		if e := v.envs[key]; e.Current != nil {
			return e.Current.Release
		}
		return ""
	}, v.events)
}

// Attestations implements api.Delivery.
func (c *Control) Attestations(ctx context.Context, app string, release semper.ReleaseName) ([]api.Attestation, error) {
	v, err := c.see(ctx, "attestations")
	if err != nil {
		return nil, err
	}
	if app, err = v.app(app); err != nil {
		return nil, err
	}
	m := model{releases: v.releases}
	rel, err := m.release(app, release)
	if err != nil {
		return nil, err
	}
	return v.desk.Attestations(rel), nil
}
