package pull

import (
	"context"
	"slices"
	"time"

	"semper"
	"semper/queue"
)

// A call is an instance that asks while jobs are drawn for sides.
type call struct {
	ctx  context.Context
	who  Instance
	plan Plan
	max  int
	out  chan answer // gets one
}

type answer struct {
	claims []queue.Claim
	err    error
}

// maxRun bounds how many jobs in a row are claimed for one side at once.
const maxRun = 64

// askForDraw waits until jobs were drawn for who, or ctx ends. Jobs that come at the same moment are taken.
func (d *Desk) askForDraw(ctx context.Context, plan Plan, who Instance, n int) ([]queue.Claim, error) {
	c := &call{ctx: ctx, who: who, plan: plan, max: n, out: make(chan answer, 1)}
	d.mu.Lock()
	d.asking = append(d.asking, c)
	d.mu.Unlock()
	d.nudge()
	select {
	case a := <-c.out:
		return a.claims, a.err
	case <-ctx.Done():
	}
	d.mu.Lock()
	i := slices.Index(d.asking, c)
	if i >= 0 {
		d.asking = slices.Delete(d.asking, i, i+1)
	}
	d.mu.Unlock()
	if i >= 0 {
		return nil, ctx.Err()
	}
	a := <-c.out // it is being answered
	return a.claims, a.err
}

func (d *Desk) nudge() {
	select {
	case d.ring <- struct{}{}:
	default:
	}
}

// A lot is for whom the next jobs are: left of them for arm, and the one after them for then.
type lot struct {
	rollout   string
	arm, then semper.Arm
	left      int
}

// drawn is the lot after l by p: as many jobs as are drawn for one side in a row.
func (l lot) drawn(p *Plan, random func() float64) lot {
	next := lot{rollout: p.Rollout, arm: l.then, left: 1}
	if l.rollout != p.Rollout || l.then == "" {
		next.arm = p.draw(random())
	}
	for next.left < maxRun {
		if next.then = p.draw(random()); next.then != next.arm {
			return next
		}
		next.left++
	}
	next.then = "" // drawn when it is due
	return next
}

// deal answers calls by the draw, one after the other, until ctx ends. One claim at a time is under way: the order of draws is that
// of the jobs, so that nothing but chance decides which job is whose.
func (d *Desk) deal(ctx context.Context) {
	var next lot
	for {
		c, missed := d.pick(&next)
		if c == nil {
			select {
			case <-d.ring:
				continue
			case <-ctx.Done():
				return
			}
		}
		claims, err := d.claimFor(ctx, c, min(c.max, next.left))
		next.left -= len(claims)
		key := c.plan.key(c.plan.sides[c.who.ID])
		d.hand(claims, c.who, key, !missed)
		if missed {
			d.miss(c.plan, next.arm, len(claims))
		}
		c.out <- answer{claims, err}
	}
}

// claimFor claims jobs for c until it has some, or gives up, or ctx ends.
func (d *Desk) claimFor(ctx context.Context, c *call, n int) ([]queue.Claim, error) {
	both, cancel := context.WithCancel(c.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	return d.queue.Claim(both, string(c.who.ID), n)
}

// pick is who gets the next jobs: the first who asks of the side they are drawn for, else one of the stable side, who gets what
// the other misses. It is taken from the list; nil when there is nobody.
func (d *Desk) pick(next *lot) (c *call, missed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.asking) == 0 {
		return nil, false
	}
	plan := d.asking[len(d.asking)-1].plan // the newest: others are about to leave
	if next.left <= 0 || next.rollout != plan.Rollout {
		*next = next.drawn(&plan, d.random)
	}
	of := func(arm semper.Arm) int {
		return slices.IndexFunc(d.asking, func(c *call) bool { return c.plan.sides[c.who.ID].arm == arm })
	}
	i := of(next.arm)
	if i < 0 && next.arm != semper.ArmStable {
		i, missed = of(semper.ArmStable), true
	}
	if i < 0 {
		return nil, false
	}
	c = d.asking[i]
	d.asking = slices.Delete(d.asking, i, i+1)
	return c, missed
}

// miss counts jobs that were drawn for a side of which nobody asked.
func (d *Desk) miss(plan Plan, arm semper.Arm, n int) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range plan.sides {
		if s.arm == arm && n > 0 {
			t := d.tallies.of(plan.key(s), now)
			t.assigned += uint64(n)
			t.missed += uint64(n)
			return
		}
	}
}
