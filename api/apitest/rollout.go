package apitest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"semper"
	"semper/api"
)

// words for what a state does, as the real one would have them.
var words = map[semper.RolloutState]string{
	semper.RolloutStage:   "artifact is on the machine, digest checked",
	semper.RolloutStart:   "new instances started",
	semper.RolloutReady:   "waiting until all instances are ready",
	semper.RolloutTrial:   "on trial",
	semper.RolloutConnect: "next epoch published",
	semper.RolloutDrain:   "old release finishes what it has",
	semper.RolloutWatch:   "old release stays warm",
	semper.RolloutRetire:  "old release is stopped",
	semper.RolloutDone:    "done",
}

func (s *Semper) releaseLocked(spec semper.Spec, artifact semper.Digest) (semper.Release, bool) {
	for _, r := range s.releases[spec.App] {
		if r.Artifact == artifact && r.Config == spec.ConfigDigest() {
			return r, false
		}
	}
	return semper.Release{
		App: spec.App, Number: len(s.releases[spec.App]) + 1, Artifact: artifact,
		Config: spec.ConfigDigest(), Spec: spec, CreatedAt: s.now,
	}, true
}

// Plan implements [api.Service].
func (s *Semper) Plan(_ context.Context, r api.DeployRequest) (api.Plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return api.Plan{}, s.down
	}
	spec := r.Spec.WithDefaults()
	rel, fresh := s.releaseLocked(spec, r.Artifact)
	p := api.Plan{App: spec.App, Environment: cmp.Or(r.Environment, semper.DefaultEnvironment), To: rel.Name(), New: fresh}
	var old *semper.Release
	if e := s.envs[key(spec.App, r.Environment)]; e != nil && e.Current != nil {
		p.From, p.Revision = e.Current.Release, e.revision
		old = &s.releases[spec.App][e.Current.Release.Number()-1]
	}
	if p.From == p.To {
		for _, name := range slices.Sorted(maps.Keys(spec.Services)) {
			p.Effects = append(p.Effects, api.PlanEffect{Service: name, Effect: "keep", Instances: spec.Services[name].Instances, Why: "nothing changed"})
		}
		return p, nil
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Services)) {
		effect, why := "restart", "the release changed"
		if old == nil {
			effect, why = "new", "first release"
		}
		p.Effects = append(p.Effects, api.PlanEffect{Service: name, Effect: effect, Instances: spec.Services[name].Instances, Why: why})
	}
	if old == nil {
		p.Changes = []string{"+ artifact " + r.Artifact.Short()}
	} else {
		p.Changes = changes(*old, rel)
	}
	for _, st := range []semper.RolloutState{semper.RolloutStage, semper.RolloutStart, semper.RolloutReady, semper.RolloutConnect, semper.RolloutDrain, semper.RolloutWatch, semper.RolloutRetire} {
		p.Steps = append(p.Steps, api.PlanStep{State: st, What: words[st]})
	}
	return p, nil
}

func changes(a, b semper.Release) []string {
	var c []string
	if a.Artifact != b.Artifact {
		c = append(c, fmt.Sprintf("~ artifact %s → %s", a.Artifact.Short(), b.Artifact.Short()))
	}
	for _, name := range slices.Sorted(maps.Keys(b.Spec.Services)) {
		old, now := a.Spec.Services[name], b.Spec.Services[name]
		if old.Instances != now.Instances {
			c = append(c, fmt.Sprintf("~ services.%s.instances %d → %d", name, old.Instances, now.Instances))
		}
	}
	return c
}

func (s *Semper) diffLocked(app string, from, to semper.ReleaseName) []string {
	l := s.releases[app]
	if from.Number() < 1 || to.Number() < 1 || from.Number() > len(l) || to.Number() > len(l) {
		return nil
	}
	return changes(l[from.Number()-1], l[to.Number()-1])
}

// Deploy implements [api.Service].
func (s *Semper) Deploy(_ context.Context, r api.DeployRequest) (semper.Rollout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return semper.Rollout{}, s.down
	}
	if _, ok := s.artifacts[r.Artifact]; !ok {
		return semper.Rollout{}, &semper.Error{Code: semper.NotFound, Message: "artifact " + r.Artifact.Short() + " is not stored", Hint: "upload it first"}
	}
	if r.Spec.App == "" || len(r.Spec.Services) == 0 {
		return semper.Rollout{}, &semper.Error{Code: semper.Invalid, Op: "deploy", Message: "the spec names no app or no service"}
	}
	k := key(r.Spec.App, r.Environment)
	e := s.envs[k]
	if e == nil {
		e = &environment{ledger: map[semper.ReleaseName]semper.Ledger{}}
		e.App, e.Name = r.Spec.App, cmp.Or(r.Environment, semper.DefaultEnvironment)
	}
	if r.ExpectRevision != 0 && r.ExpectRevision != e.revision {
		return semper.Rollout{}, &semper.Error{
			Code: semper.Conflict, Message: fmt.Sprintf("the plan is for revision %d, the environment is at %d", r.ExpectRevision, e.revision),
			Hint: "plan again: semper plan",
		}
	}
	if err := s.freeLocked(e); err != nil {
		return semper.Rollout{}, err
	}
	rel, fresh := s.releaseLocked(r.Spec.WithDefaults(), r.Artifact)
	if fresh {
		rel.CreatedBy, rel.CreatedAt = r.By, s.clockLocked()
		s.releases[rel.App] = append(s.releases[rel.App], rel)
	}
	s.envs[k] = e
	s.beginLocked(e, semper.KindDeploy, rel, nil, r.By)
	ro := *e.Rollout
	if d := rel.Spec.Deploy; d != nil && len(d.Steps) > 0 && ro.From != "" && r.Hotfix == "" {
		ro.Trial = &semper.Trial{Until: r.Until}
	}
	ro.Hotfix = r.Hotfix
	e.Rollout = &ro
	return ro, nil
}

// freeLocked refuses while another rollout holds the environment; one that only watches gives way.
func (s *Semper) freeLocked(e *environment) error {
	if e.Rollout == nil || e.Rollout.State.Ended() {
		return nil
	}
	if e.Rollout.State == semper.RolloutWatch {
		e.cancel()
		s.endLocked(e, semper.RolloutSuperseded, "")
		return nil
	}
	return &semper.Error{
		Code:    semper.Conflict,
		Message: fmt.Sprintf("rollout %s of %s to %s is under way (%s)", e.Rollout.ID, e.App, e.Rollout.To, e.Rollout.State),
		Hint:    "watch it: semper status -w; end it: semper abort",
	}
}

// beginLocked starts a rollout to rel and lets it run.
func (s *Semper) beginLocked(e *environment, kind semper.RolloutKind, rel semper.Release, scale map[string]int, by string) semper.Rollout {
	e.rollouts++
	e.Generation++
	if scale == nil {
		scale = map[string]int{}
		for name, svc := range rel.Spec.Services {
			scale[name] = svc.Instances
		}
	}
	at := s.clockLocked()
	ro := &semper.Rollout{
		ID: fmt.Sprintf("d-%d", e.rollouts), Kind: kind, To: rel.Name(), By: by, StartedAt: at,
		Target: semper.Placement{Release: rel.Name(), Generation: e.Generation, Scale: scale},
	}
	if e.Current != nil {
		ro.From = e.Current.Release
	}
	e.Rollout = ro
	s.enterLocked(e, semper.RolloutStage)
	var fault *Fault
	if kind == semper.KindDeploy {
		fault, s.fault = s.fault, nil
	}
	ctx, cancel := context.WithCancel(s.ctx)
	e.cancel = cancel
	s.wg.Go(func() {
		defer cancel()
		s.run(ctx, e, ro.ID, rel, fault)
	})
	return *ro
}

// enterLocked moves e's rollout into state and tells.
func (s *Semper) enterLocked(e *environment, state semper.RolloutState) {
	ro := *e.Rollout // the old value may be with a reader
	s.revision++
	e.revision = s.revision
	ro.State, ro.EnteredAt = state, s.clockLocked()
	note := words[state]
	if note == "" {
		note = ro.Reason
	}
	ro.Steps = append(slices.Clip(ro.Steps), semper.RolloutStep{State: state, At: ro.EnteredAt, Note: note})
	e.Rollout = &ro
	s.eventLocked(semper.Event{
		Kind: "rollout." + string(state), App: e.App, Environment: e.Name, Release: ro.To, Rollout: ro.ID, Epoch: ro.Epoch, By: ro.By,
		Message: fmt.Sprintf("%s %s → %s: %s", ro.ID, cmp.Or(string(ro.From), "nothing"), ro.To, note),
	})
}

func (s *Semper) endLocked(e *environment, state semper.RolloutState, reason string) {
	ro := *e.Rollout
	ro.Reason, ro.EndedAt = cmp.Or(reason, ro.Reason), s.clockLocked()
	e.Rollout = &ro
	s.enterLocked(e, state)
}

// run takes a rollout through its states, staying where the server stalls.
func (s *Semper) run(ctx context.Context, e *environment, id string, rel semper.Release, fault *Fault) {
	steps := []semper.RolloutState{
		semper.RolloutStart, semper.RolloutReady, semper.RolloutConnect, semper.RolloutDrain, semper.RolloutWatch, semper.RolloutRetire, semper.RolloutDone,
	}
	for _, next := range steps {
		if next == semper.RolloutConnect && !s.try(ctx, e, id, rel) {
			return
		}
		if s.await(ctx, func() bool { return e.Rollout.ID != id || s.stall != e.Rollout.State }) != nil {
			return
		}
		s.mu.Lock()
		gone := ctx.Err() != nil || e.Rollout.ID != id || e.Rollout.State.Ended() || !s.stepLocked(e, next, rel, fault)
		s.mu.Unlock()
		if gone {
			return
		}
	}
}

// stepLocked performs one state; false when the rollout has ended with it.
func (s *Semper) stepLocked(e *environment, next semper.RolloutState, rel semper.Release, fault *Fault) bool {
	switch next {
	case semper.RolloutStart:
		s.placeLocked(e, rel)
	case semper.RolloutConnect:
		if fault != nil && !fault.After {
			s.breakLocked(e, fault)
			s.failLocked(e, fmt.Sprintf("%s did not become ready: %s", e.Rollout.Instance, fault.Reason))
			return false
		}
		s.epoch++
		e.Rollout.Epoch = s.epoch
	case semper.RolloutDrain:
		s.cutLocked(e, rel)
	case semper.RolloutWatch:
		if fault != nil {
			s.breakLocked(e, fault)
			s.turnBackLocked(e, fmt.Sprintf("crash loop of %s: %s", e.Rollout.Instance, fault.Reason))
			return false
		}
	case semper.RolloutRetire:
		s.finishLocked(e)
		return false
	}
	s.enterLocked(e, next)
	return true
}

// placeLocked starts the new instances beside the old.
func (s *Semper) placeLocked(e *environment, rel semper.Release) {
	at := s.clockLocked()
	for _, name := range slices.Sorted(maps.Keys(e.Rollout.Target.Scale)) {
		if e.InstanceSeq == nil {
			e.InstanceSeq = map[string]int{}
		}
		seq := name + "." + string(rel.Name())
		for range e.Rollout.Target.Scale[name] {
			e.InstanceSeq[seq]++
			s.pid++
			e.instances = append(e.instances, api.Instance{
				ID:      semper.NameInstance(e.App, name, rel.Name(), e.InstanceSeq[seq]),
				Service: name, Release: rel.Name(), State: semper.Starting, Role: "candidate",
				PID: s.pid, Address: fmt.Sprintf("127.0.0.1:%d", 16000+s.pid), StartedAt: at,
			})
		}
	}
}

func (s *Semper) breakLocked(e *environment, f *Fault) {
	ro := *e.Rollout
	for i := range e.instances {
		in := &e.instances[i]
		if in.Release != ro.To || (f.Service != "" && in.Service != f.Service) {
			continue
		}
		s.crashLocked(e, *in, f.Reason, "give up: 6 restarts in 1m0s", f.Tail)
		in.State, in.Reason, in.Restarts = semper.Waiting, f.Reason.String(), 5
		ro = *e.Rollout
		ro.Instance, ro.Tail = in.ID, f.Tail
		break
	}
	e.Rollout = &ro
}

// cutLocked gives the traffic to the candidate.
func (s *Semper) cutLocked(e *environment, rel semper.Release) {
	e.Previous, e.Current = e.Current, &e.Rollout.Target
	e.spec = rel.Spec
	for i := range e.instances {
		in := &e.instances[i]
		switch in.Role {
		case "candidate":
			in.Role, in.State = "current", semper.Ready
		case "current":
			in.Role = "warm"
		}
	}
}

func (s *Semper) dropLocked(e *environment, role string) {
	e.instances = slices.DeleteFunc(e.instances, func(in api.Instance) bool { return in.Role == role })
}

func (s *Semper) failLocked(e *environment, reason string) {
	s.dropLocked(e, "candidate")
	s.endLocked(e, semper.RolloutFailed, reason)
}

func (s *Semper) finishLocked(e *environment) {
	s.dropLocked(e, "warm")
	s.enterLocked(e, semper.RolloutRetire)
	s.endLocked(e, semper.RolloutDone, "")
}

func (s *Semper) turnBackLocked(e *environment, reason string) {
	s.enterLocked(e, semper.RolloutRollingBack)
	s.dropLocked(e, "current")
	for i := range e.instances {
		e.instances[i].Role = "current"
	}
	s.epoch++
	e.Current, e.Previous = e.Previous, nil
	e.Rollout.Epoch = s.epoch
	s.endLocked(e, semper.RolloutRolledBack, reason)
}

// Rollback implements [api.Service].
func (s *Semper) Rollback(_ context.Context, app, env string, release semper.ReleaseName, by string) (semper.Rollout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, env)
	if err != nil {
		return semper.Rollout{}, err
	}
	if release == "" {
		if e.Previous == nil {
			return semper.Rollout{}, &semper.Error{Code: semper.NotFound, Message: "there is no release before " + string(e.Current.Release), Hint: "semper release list"}
		}
		release = e.Previous.Release
	}
	if n := release.Number(); n < 1 || n > len(s.releases[e.App]) {
		return semper.Rollout{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("%s has no release %q", e.App, release), Hint: "semper release list"}
	}
	if err := s.freeLocked(e); err != nil {
		return semper.Rollout{}, err
	}
	s.dropLocked(e, "warm")
	return s.beginLocked(e, semper.KindRollback, s.releases[e.App][release.Number()-1], nil, by), nil
}

// Scale implements [api.Service].
func (s *Semper) Scale(_ context.Context, app, env string, scale map[string]int, by string) (semper.Rollout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, env)
	if err != nil {
		return semper.Rollout{}, err
	}
	target := maps.Clone(e.Current.Scale)
	for name, n := range scale {
		if _, ok := target[name]; !ok {
			return semper.Rollout{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("%s has no service %q", e.App, name)}
		}
		target[name] = n
	}
	if err := s.freeLocked(e); err != nil {
		return semper.Rollout{}, err
	}
	return s.beginLocked(e, semper.KindScale, s.releases[e.App][e.Current.Release.Number()-1], target, by), nil
}

// Restart implements [api.Service].
func (s *Semper) Restart(_ context.Context, app, env string, _ []string, by string) (semper.Rollout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, env)
	if err != nil {
		return semper.Rollout{}, err
	}
	if err := s.freeLocked(e); err != nil {
		return semper.Rollout{}, err
	}
	return s.beginLocked(e, semper.KindRestart, s.releases[e.App][e.Current.Release.Number()-1], maps.Clone(e.Current.Scale), by), nil
}

// warmUntil is the end of the watch of e's rollout, zero when nothing is warm.
func (e *environment) warmUntil() time.Time {
	if e.Rollout == nil || e.Rollout.State != semper.RolloutWatch || e.Previous == nil {
		return time.Time{}
	}
	return e.Rollout.EnteredAt.Add(e.spec.Warm.D())
}
