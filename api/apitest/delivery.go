package apitest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"semper"
	"semper/api"
	"semper/pipeline"
	"semper/pipeline/course"
)

// delivery is what the server knows of pipelines. Commands of gates exit with what [Semper.Exit] says, URLs answer as they are expected to,
// and a rollout that a run asks for is live at once.
type delivery struct {
	policies map[string]semper.Pipeline
	runs     []course.Run // oldest first
	proofs   []pipeline.Proof
	lines    map[string]course.Line
	users    map[string]api.User
	keys     []api.SigningKey // newest first
	units    map[semper.InstanceID]pipeline.Unit
	exit     map[string]int
}

func newDelivery() delivery {
	return delivery{
		policies: map[string]semper.Pipeline{}, lines: map[string]course.Line{}, users: map[string]api.User{},
		units: map[semper.InstanceID]pipeline.Unit{}, exit: map[string]int{},
	}
}

// Exit is the code that commands with that first word exit with.
func (s *Semper) Exit(command string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delivery.exit[command] = code
}

// StartRun implements [api.Delivery].
func (s *Semper) StartRun(_ context.Context, r api.DeployRequest) (course.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return course.Run{}, s.down
	}
	d := &s.delivery
	if r.Pipeline != nil {
		p, problems := pipeline.Complete(*r.Pipeline)
		if len(problems) > 0 {
			return course.Run{}, &semper.Error{Code: semper.Invalid, Message: problems[0].String(), Hint: problems[0].Hint}
		}
		d.policies[r.Spec.App] = p
	}
	rel, fresh := s.releaseLocked(r.Spec.WithDefaults(), r.Artifact)
	if fresh {
		rel.CreatedBy, rel.CreatedAt = r.By, s.clockLocked()
		s.releases[rel.App] = append(s.releases[rel.App], rel)
	}
	run, events, err := pipeline.Begin(d.policies[r.Spec.App], rel, int64(len(d.runs)+1), r.By, s.clockLocked())
	if err != nil {
		return run, err
	}
	d.runs = append(d.runs, run)
	for _, e := range events {
		s.eventLocked(e)
	}
	s.stepRunsLocked()
	return d.runs[len(d.runs)-1], nil
}

// stepRunsLocked moves runs on until nothing follows any more.
func (s *Semper) stepRunsLocked() {
	for moved := true; moved; {
		moved = false
		for i := range s.delivery.runs {
			moved = s.stepRunLocked(i) || moved
		}
	}
}

func (s *Semper) stepRunLocked(i int) (moved bool) {
	d := &s.delivery
	dec := pipeline.Step(d.runs[i], s.worldLocked(d.runs[i]))
	for _, c := range dec.Commands {
		if c, ok := c.(pipeline.Start); ok {
			reason := semper.Reason{Kind: semper.ReasonNormal}
			if code := d.exit[c.Spec.Spec.Command[0]]; code != 0 {
				reason = semper.Reason{Kind: semper.ReasonExit, Code: code}
			}
			d.units[c.Spec.ID] = pipeline.Unit{Ended: true, End: &semper.End{Reason: reason, Tail: []string{c.Spec.Spec.Command[0] + " says so"}}}
			moved = true
		}
	}
	if dec.Deploy != "" {
		k := key(dec.Run.App, dec.Deploy)
		e := s.envs[k]
		if e == nil {
			e = &environment{ledger: map[semper.ReleaseName]semper.Ledger{}}
			e.App, e.Name = dec.Run.App, dec.Deploy
			s.envs[k] = e
		}
		e.rollouts++
		e.Current = &semper.Placement{Release: dec.Run.Release}
		e.Rollout = &semper.Rollout{ID: fmt.Sprintf("d-%d", e.rollouts), State: semper.RolloutDone, To: dec.Run.Release, By: dec.Run.ID}
		run, events := pipeline.Entered(dec.Run, *e.Rollout, s.clockLocked())
		dec.Run, dec.Changed, dec.Events = run, true, append(dec.Events, events...)
	}
	s.takeLocked(i, dec)
	return moved || dec.Changed
}

func (s *Semper) takeLocked(i int, dec pipeline.Decision) {
	s.delivery.runs[i] = dec.Run
	for _, p := range dec.Statements {
		s.delivery.proofs = append(s.delivery.proofs, pipeline.Proof{Passed: p, About: about(dec.Run), Key: "key"})
	}
	for _, e := range dec.Events {
		s.eventLocked(e)
	}
}

func about(r course.Run) pipeline.Subject {
	return pipeline.Subject{Artifact: r.Artifact, Config: r.Config}
}

func (s *Semper) worldLocked(run course.Run) pipeline.World {
	d := &s.delivery
	w := pipeline.World{
		Now: s.now, InForce: d.policies[run.App], Environments: map[string]semper.Environment{}, Units: maps.Clone(d.units), Answers: map[string]pipeline.Answer{},
		Stopped: s.stoppedLocked(run.App),
	}
	for _, o := range d.runs {
		if o.ID != run.ID && o.App == run.App {
			w.Others = append(w.Others, o)
		}
	}
	for _, p := range d.proofs {
		if p.About == about(run) {
			w.Proofs = append(w.Proofs, p)
		}
	}
	for _, st := range run.Stages {
		if e := s.envs[key(run.App, st.Environment)]; e != nil {
			w.Environments[st.Environment] = e.Environment
		}
		for _, g := range st.Gates {
			w.Answers[fmt.Sprintf("%s/%s/%s.%d", run.ID, st.Environment, g.Gate, g.Attempt)] = pipeline.Answer{Good: true, What: "200 OK"}
		}
	}
	return w
}

func (s *Semper) stoppedLocked(app string) string {
	for _, of := range []string{"", app} {
		if l := s.delivery.lines[of]; l.Stopped {
			return l.Why + " (" + l.By + ")"
		}
	}
	return ""
}

// Approve implements [api.Delivery].
func (s *Semper) Approve(ctx context.Context, _, run, why string) (course.Run, error) {
	return s.onRun(run, func(i int) (pipeline.Decision, error) {
		c := api.CallerOf(ctx)
		return pipeline.Approve(s.delivery.runs[i], pipeline.Caller{Name: c.Name, Role: string(c.Role), Groups: c.Groups}, why, s.now)
	})
}

// Reject implements [api.Delivery].
func (s *Semper) Reject(ctx context.Context, _, run, why string) (course.Run, error) {
	return s.onRun(run, func(i int) (pipeline.Decision, error) {
		return pipeline.Reject(s.delivery.runs[i], pipeline.Caller{Name: api.CallerOf(ctx).Name}, why, s.now)
	})
}

// Rerun implements [api.Delivery].
func (s *Semper) Rerun(ctx context.Context, _, run string) (course.Run, error) {
	return s.onRun(run, func(i int) (pipeline.Decision, error) {
		r := s.delivery.runs[i]
		return pipeline.Rerun(r, s.worldLocked(r).Others, api.CallerOf(ctx).Name, s.now)
	})
}

// onRun performs a command on the run of an id, or on the newest.
func (s *Semper) onRun(id string, do func(i int) (pipeline.Decision, error)) (course.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	runs := s.delivery.runs
	i := len(runs) - 1
	if id != "" {
		i = slices.IndexFunc(runs, func(r course.Run) bool { return r.ID == id })
	}
	if i < 0 {
		return course.Run{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no run %q", id), Hint: "semper pipeline list"}
	}
	dec, err := do(i)
	if err != nil {
		return course.Run{}, err
	}
	s.takeLocked(i, dec)
	s.stepRunsLocked()
	return s.delivery.runs[i], nil
}

// SetLine implements [api.Delivery].
func (s *Semper) SetLine(ctx context.Context, app string, stopped bool, why string) (course.Line, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := course.Line{App: app, Stopped: stopped, Why: why, By: api.CallerOf(ctx).Name, At: s.clockLocked()}
	s.delivery.lines[app] = l
	s.stepRunsLocked()
	return l, s.down
}

// Pipelines implements [api.Delivery].
func (s *Semper) Pipelines(_ context.Context, app string) ([]api.PipelineStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []api.PipelineStatus
	for _, name := range slices.Sorted(maps.Keys(s.delivery.policies)) {
		if app != "" && app != name {
			continue
		}
		p := s.delivery.policies[name]
		st := api.PipelineStatus{Pipeline: p, Stopped: s.stoppedLocked(name), Serving: map[string]semper.ReleaseName{}}
		for _, stage := range p.Stages {
			if e := s.envs[key(name, stage.Environment)]; e != nil && e.Current != nil {
				st.Serving[stage.Environment] = e.Current.Release
			}
		}
		for _, r := range slices.Backward(s.delivery.runs) {
			if r.App == name {
				rs := api.RunStatus{Run: r, Waiting: pipeline.Step(r, s.worldLocked(r)).Waiting}
				_, rs.Asks, _ = pipeline.Asks(r)
				st.Runs = append(st.Runs, rs)
			}
		}
		out = append(out, st)
	}
	return out, s.down
}

// Attestations implements [api.Delivery].
func (s *Semper) Attestations(_ context.Context, _ string, release semper.ReleaseName) ([]api.Attestation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []api.Attestation
	for _, p := range s.delivery.proofs {
		if p.Release == release {
			out = append(out, api.Attestation{
				Name: p.Name(), Release: p.Release, Environment: p.Environment, Gate: p.Gate, Kind: p.Kind, At: p.At, By: p.By, Why: p.Why,
				Expires: p.Expires, Run: p.Run, Key: p.Key, Envelope: json.RawMessage(`{}`),
			})
		}
	}
	return out, s.down
}

// SigningKeys implements [api.Delivery].
func (s *Semper) SigningKeys(context.Context) ([]api.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.delivery.keys), s.down
}

// RotateKey implements [api.Delivery].
func (s *Semper) RotateKey(context.Context) (api.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, now := s.delivery.keys, s.clockLocked()
	for i := range keys {
		if keys[i].State == api.KeySigns {
			keys[i].State, keys[i].Until = api.KeyRetired, now
		}
	}
	next := api.SigningKey{ID: fmt.Sprintf("%064d", len(keys)+1), Generation: len(keys) + 1, State: api.KeySigns, From: now}
	s.delivery.keys = slices.Insert(keys, 0, next)
	return next, s.down
}

// RevokeKey implements [api.Delivery].
func (s *Semper) RevokeKey(ctx context.Context, id, why string) (api.SigningKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.delivery.keys, func(k api.SigningKey) bool { return k.ID == id })
	if i < 0 {
		return api.SigningKey{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no key begins with %q", id)}
	}
	k := &s.delivery.keys[i]
	k.State, k.RevokedAt, k.RevokedBy, k.Why = api.KeyRevoked, s.clockLocked(), api.CallerOf(ctx).Name, why
	return *k, s.down
}

// Users implements [api.Delivery].
func (s *Semper) Users(context.Context) ([]api.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.delivery.users), func(a, b api.User) int { return len(a.Name) - len(b.Name) }), s.down
}

// AddUser implements [api.Delivery].
func (s *Semper) AddUser(ctx context.Context, u api.User) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(api.Roles, u.Role) {
		return "", &semper.Error{Code: semper.Invalid, Message: fmt.Sprintf("%q is no role", u.Role), Hint: "viewer, deployer or admin"}
	}
	u.AddedBy, u.AddedAt = api.CallerOf(ctx).Name, s.clockLocked()
	s.delivery.users[u.Name] = u
	return "smp_of_" + u.Name, s.down
}

// RemoveUser implements [api.Delivery].
func (s *Semper) RemoveUser(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.delivery.users[name]; !ok {
		return &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no user %q", name)}
	}
	delete(s.delivery.users, name)
	return s.down
}
