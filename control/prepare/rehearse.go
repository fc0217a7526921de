package prepare

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"semper"
	"semper/api"
	"semper/internal/stepwords"
	"semper/rollout"
)

// Rehearse runs the machine in a world where everything goes well and tells what it passed through.
func Rehearse(env semper.Environment, rel semper.Release, hotfix string, known map[semper.ReleaseName]semper.Release) ([]api.PlanStep, error) {
	releases := maps.Clone(known)
	if releases == nil {
		releases = make(map[semper.ReleaseName]semper.Release)
	}
	releases[rel.Name()] = rel
	now := time.Unix(0, 0)
	env, _, err := rollout.Deploy(env, rel, rollout.Request{ID: "plan", Now: now, Again: true, Hotfix: hotfix})
	if err != nil {
		return nil, err
	}
	env.Experiments = nil // they move nothing, and have not kept it from beginning
	w := rollout.World{Instances: make(map[semper.InstanceID]rollout.Instance), Staged: map[semper.Digest]error{rel.Artifact: nil}, Releases: releases, NextEpoch: 1}
	for range 100 + 4*steps(rel) {
		w.Now, w.Acked = now, w.NextEpoch
		if t := env.Rollout.Trial; t != nil { // it is found to be as good, and nobody leaves it paused
			w.Verdict = &semper.Verdict{Outcome: semper.BetterOrEqual, Rollout: env.Rollout.ID, Step: t.Step}
			if d, err := rollout.Resume(env, w, ""); err == nil && t.Paused {
				env = d.Env
			}
		}
		for _, p := range rollout.Placements(env) {
			for _, u := range p.Instances {
				if _, known := w.Instances[u.ID]; !known {
					w.Instances[u.ID] = rollout.Instance{State: semper.Ready}
				}
				if u.Service == rollout.MigrateService {
					w.Instances[u.ID] = rollout.Instance{State: semper.Ended, LastEnd: &semper.End{Reason: semper.Reason{Kind: semper.ReasonNormal}}}
				}
			}
		}
		d := rollout.Step(env, w)
		env = d.Env
		for _, cmd := range d.Commands {
			if stop, ok := cmd.(rollout.Stop); ok {
				delete(w.Instances, stop.ID)
			}
		}
		if env.Rollout.State.Ended() {
			break
		}
		w.NextEpoch++
		now = now.Add(time.Second)
		if d.Wake.After(now) {
			now = d.Wake
		}
	}
	return describe(env.Rollout, env, rel), nil
}

// steps is how many steps rel has.
func steps(rel semper.Release) int {
	if rel.Spec.Deploy == nil {
		return 0
	}
	return len(rel.Spec.Deploy.Steps)
}

// onTrial says what the steps of a trial mean, one after another, and then what follows them.
func onTrial(r *semper.Rollout, rel semper.Release) func(semper.RolloutState) string {
	begun := 0
	candidate, fresh := 0, 0
	for _, n := range r.Trial.Scale {
		candidate += n
	}
	if r.Trial.Against == semper.BaselineFresh {
		fresh = candidate
	}
	return func(s semper.RolloutState) string {
		switch {
		case s == semper.RolloutTrial:
			begun++
			return fmt.Sprintf("step %d of %d: %s", begun, steps(rel), stepwords.Sentence(rel.Spec.Deploy.Steps[begun-1]))
		case s == semper.RolloutStart && begun == 0 && fresh > 0:
			return fmt.Sprintf("start %s of %s and as many new ones of %s to compare them with, without traffic", instances(candidate), r.To, r.From)
		case s == semper.RolloutStart && begun == 0:
			return fmt.Sprintf("start %s of %s, without traffic", instances(candidate), r.To)
		case s == semper.RolloutStart:
			return fmt.Sprintf("start the other %s of %s", instances(len(r.Target.Instances)-candidate), r.To)
		case s == semper.RolloutWatch:
			return fmt.Sprintf("%s stays warm for %s; a crash loop of %s, or a verdict of worse, turns back to it", r.From, rel.Spec.Warm, r.To)
		}
		return ""
	}
}

// instances is how many, in words.
func instances(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", n)
}

func describe(r *semper.Rollout, env semper.Environment, rel semper.Release) []api.PlanStep {
	from := semper.ReleaseName("nothing")
	if r.From != "" {
		from = r.From
	}
	words := map[semper.RolloutState]string{
		semper.RolloutStage:   fmt.Sprintf("unpack artifact %s and check its digest", rel.Artifact.Short()),
		semper.RolloutStart:   fmt.Sprintf("start %s of %s, without traffic", instances(len(r.Target.Instances)), r.To),
		semper.RolloutReady:   "wait until all of them are ready",
		semper.RolloutConnect: fmt.Sprintf("publish the next epoch: all traffic from %s to %s, acknowledged by every edge", from, r.To),
		semper.RolloutDrain: fmt.Sprintf("%s finishes what it has (requests %s, streams %s, websockets %s)", from,
			rel.Spec.Drain.Request, rel.Spec.Drain.Stream, rel.Spec.Drain.WebSocket),
		semper.RolloutWatch:  fmt.Sprintf("%s stays warm for %s; a crash loop of %s turns back to it", from, rel.Spec.Warm, r.To),
		semper.RolloutRetire: fmt.Sprintf("stop %s", from),
		semper.RolloutDone:   r.Reason,
	}
	if m := rel.Spec.Migrate; m != nil {
		words[semper.RolloutHold] = fmt.Sprintf("publish the next epoch: %s wait; those under way end first, or the rollout does (%s)", rollout.Held(m.Hold), rel.Spec.Drain.Request)
		words[semper.RolloutMigrate] = fmt.Sprintf("run the migration, once: %s at most; if it fails, %s serves on and %s is bad", m.Deadline, from, r.To)
	}
	out, waited := []api.PlanStep{}, false
	special := func(semper.RolloutState) string { return "" }
	if r.Trial != nil && r.Trial.Scale != nil {
		special = onTrial(r, rel)
	}
	for _, s := range r.Steps {
		if env.Previous == nil && (s.State == semper.RolloutDrain || s.State == semper.RolloutRetire) {
			continue // nothing runs yet that would have to end
		}
		if s.State == semper.RolloutReady && waited {
			continue // again, behind the migration
		}
		waited = waited || s.State == semper.RolloutMigrate
		if w := cmp.Or(special(s.State), words[s.State]); w != "" {
			out = append(out, api.PlanStep{State: s.State, What: w})
		}
	}
	return out
}
