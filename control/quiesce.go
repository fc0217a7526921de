package control

import (
	"context"
	"time"

	"semper"
	"semper/control/ask"
	"semper/internal/pause"
	"semper/rollout"
)

// lookAtJobs is how far apart two looks at a worker are that finishes the jobs of its own broker.
const lookAtJobs = time.Second

// quiesce tells a worker to take no more jobs, once, and looks at it, once for each time the machine asks.
func (m *model) quiesce(c *Control, cmd rollout.Quiesce) {
	in := m.instances[cmd.ID]
	if in == nil {
		return
	}
	s, told := in.status, in.quiesced
	m.once("quiesce "+string(cmd.ID), func(ctx context.Context) func() {
		if !told {
			if err := ask.Quiesce(ctx, c.o.Keeper, s, cmd.Terms.Tell); err != nil {
				c.o.Log.Warn("worker not told to take no more jobs; trying again", "instance", cmd.ID, "by", cmd.Terms.Tell.String(), "error", err)
				pause.For(ctx, lookAtJobs)
				return func() { m.untold(c, cmd, s.Incarnation, err) }
			}
		}
		drained, err := ask.Drained(ctx, c.o.Keeper, s, cmd.Terms)
		if err != nil {
			c.o.Log.Warn("it is not known whether a worker has jobs; asking again", "instance", cmd.ID, "error", err)
		}
		if !drained {
			pause.For(ctx, lookAtJobs)
		}
		return func() {
			if in := m.instances[cmd.ID]; in != nil && in.status.Incarnation == s.Incarnation {
				in.quiesced, in.drained = true, drained
			}
		}
	}, c)
}

// untold says once that a worker takes jobs still, since telling it fails.
func (m *model) untold(c *Control, cmd rollout.Quiesce, incarnation int64, err error) {
	if in := m.instances[cmd.ID]; in != nil && in.status.Incarnation == incarnation && !in.untold {
		t := m.newChange(time.Now())
		t.events = []semper.Event{cmd.Terms.Untold(t.now, in.status.Spec, err)}
		in.untold = c.keep(m, t) == nil
	}
}
