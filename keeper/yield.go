package keeper

import (
	"time"

	"semper"
	"semper/keeper/journal"
)

// yieldFor is how long the present incarnation of r may be kept behind everybody else who wants a processor, if it is not
// ready before; 0 for not at all. The first one starts beside a release that serves, so the requests come first; a later one
// takes the place of a dead one, which they miss. However busy the machine is, three quarters of the time it has to
// become ready are left at its full share.
func yieldFor(r journal.Record) time.Duration {
	if r.Instance == nil || r.Incarnation != 1 {
		return 0
	}
	return r.Instance.Spec.Spec.Health.Grace.D() / 4
}

// limitYielding ends c's yielding after the given time. Where it has ended before, this is a second look: a process whose fork
// was under way during the first may have been missed. The goroutine ends then, or with c, or with the keeper; the next keeper
// ends the yielding of all it adopts.
func (k *keeper) limitYielding(m *member, c *incarnation, after time.Duration) {
	if after <= 0 || c.p == nil {
		return
	}
	k.goBackground(func() {
		t := time.NewTimer(after)
		defer t.Stop()
		select {
		case <-t.C:
			k.compete(m, c)
			c.p.Compete()
		case <-c.p.Exited():
		case <-k.life.Done():
		}
	})
}

// foundReady is [Client.Ready]. A process may ask before what started it has come to [keeper.began], which looks whether it has.
func (k *keeper) foundReady(id semper.InstanceID, n int64, own bool) {
	k.mu.Lock()
	m := k.members[string(id)]
	var c *incarnation
	if m != nil && m.rec.Incarnation == n {
		pid := 0
		if m.cur != nil && m.cur.n == n {
			c, pid = m.cur, m.rec.Identity.PID
		}
		if own {
			k.saidReadyLocked(m, pid)
		}
	}
	k.mu.Unlock()
	if c != nil {
		k.compete(m, c)
	}
}

// compete gives c, if it yields, its full share of the processors.
func (k *keeper) compete(m *member, c *incarnation) {
	k.mu.Lock()
	yields := m.cur == c && c.p != nil && m.rec.Yields
	if yields {
		m.rec.Yields = false
		k.saveLocked(m)
	}
	k.mu.Unlock()
	if yields {
		c.p.Compete()
	}
}
