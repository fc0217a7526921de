package control

import (
	"context"
	"time"

	"semper"
	"semper/api"
	"semper/control/autoscaling"
	"semper/rollout"
)

// Scalings are the services that are scaled by themselves, while this process leads.
func (c *Control) Scalings() map[semper.EnvironmentKey][]api.Scaling { return c.scale.All() }

// scale has services follow their load for the term.
func (t *term) scale(ctx context.Context) error {
	c := t.c
	return c.scale.Serve(ctx, autoscaling.Term{
		Log: c.o.Log, States: c.o.Edges.States, Desks: c.o.Edges.Desks, Sleepers: c.o.Edges.Sleepers, Queues: c.o.Queues,
		Look: func() (autoscaling.World, bool) {
			if v := c.view.Load(); v != nil {
				ready := func(id semper.InstanceID) bool { return v.instances[id].State == semper.Ready }
				return autoscaling.World{Environments: v.envs, Releases: v.releases, Changed: v.changed, Ready: ready}, true
			}
			return autoscaling.World{}, false
		},
		Resize: func(ctx context.Context, env semper.EnvironmentKey, to map[string]rollout.Resizing, said []semper.EdgeState) {
			c.tell(ctx, "a load", func(m *model) {
				if len(said) > 0 {
					m.edges = said
				}
				change := m.newChange(time.Now())
				d := rollout.Resize(change.env(env), m.world(env, change.now), to)
				if err := c.store(m, change, d.Env, d.Events); err != nil {
					c.o.Log.Warn("another number of instances is not stored; trying again", "environment", env, "error", err)
				}
			})
		},
	})
}
