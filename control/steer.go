package control

import (
	"context"
	"fmt"
	"slices"

	"semper"
	"semper/api"
	"semper/control/prepare"
	"semper/rollout"
)

// steer runs a command on the rollout under way.
func (c *Control) steer(ctx context.Context, op, app, env string, do func(semper.Environment, rollout.World) (rollout.Decision, error)) (semper.Rollout, error) {
	return c.begin(ctx, op, app, env, func(m *model, t *change, e semper.Environment) (semper.Environment, []semper.Event, error) {
		d, err := do(e, m.world(e.Key(), t.now))
		return d.Env, d.Events, err
	})
}

// Abort ends a running rollout; the environment keeps the release it had.
func (c *Control) Abort(ctx context.Context, app, env, by string) (semper.Rollout, error) {
	return c.steer(ctx, "abort", app, env, func(e semper.Environment, w rollout.World) (rollout.Decision, error) {
		return rollout.Abort(e, w, by)
	})
}

// Promote skips a step of a trial, or all that are left, or ends the watch of a rollout early.
func (c *Control) Promote(ctx context.Context, app, env string, p api.Promotion) (semper.Rollout, error) {
	return c.steer(ctx, "promote", app, env, func(e semper.Environment, w rollout.World) (rollout.Decision, error) {
		return rollout.Promote(e, w, rollout.Promotion{By: p.By, Full: p.Full, Step: p.Step - 1})
	})
}

// Pause keeps a rollout with steps where it is; it goes on being judged.
func (c *Control) Pause(ctx context.Context, app, env, by string) (semper.Rollout, error) {
	return c.steer(ctx, "pause", app, env, func(e semper.Environment, w rollout.World) (rollout.Decision, error) {
		return rollout.Pause(e, w, by)
	})
}

// ResumeRollout lets a paused rollout go on.
func (c *Control) ResumeRollout(ctx context.Context, app, env, by string) (semper.Rollout, error) {
	return c.steer(ctx, "resume", app, env, func(e semper.Environment, w rollout.World) (rollout.Decision, error) {
		return rollout.Resume(e, w, by)
	})
}

// WaitRollout returns once rollout id is as far as until, or has ended.
func (c *Control) WaitRollout(ctx context.Context, app, env, id, until string) (semper.Rollout, error) {
	if !slices.Contains([]string{"", "live", "drained", "done", "paused"}, until) {
		return semper.Rollout{}, &semper.Error{Code: semper.Invalid, Op: "wait", Message: fmt.Sprintf("cannot wait until %q", until), Hint: "live, drained, done or paused"}
	}
	v, err := c.see(ctx, "wait")
	if err != nil {
		return semper.Rollout{}, err
	}
	for {
		e, err := v.find(app, env)
		if err != nil {
			return semper.Rollout{}, err
		}
		if r := e.Rollout; r == nil || r.ID != id {
			return semper.Rollout{ID: id, State: semper.RolloutSuperseded}, nil
		} else if r.State.Ended() || prepare.Reached(*r, until) {
			return *r, nil
		}
		select {
		case <-v.changed:
			v = c.view.Load()
		case <-ctx.Done():
			return *e.Rollout, &semper.Error{Code: semper.Timeout, Op: "wait", Message: fmt.Sprintf("rollout %s is at %s", id, e.Rollout.State), Hint: "it goes on; semper status -w watches it", Err: ctx.Err()}
		}
	}
}
