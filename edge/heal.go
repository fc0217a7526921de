package edge

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/balance"
)

// sweepEvery is how often the answers of a pool's backends are compared.
const sweepEvery = 10 * time.Second

// A healing leaves backends of a pool out for what becomes of their requests. It lives on from snapshot to snapshot.
type healing struct {
	edge   *Edge
	policy atomic.Pointer[balance.Outlier]
	on     atomic.Bool // else it only brings back whom it has left out

	mu      sync.Mutex       // guards what follows, and what the policy remembers of backends
	members []balance.Member // as of the newest snapshot
	swept   int64
}

// heal makes o the policy by which backends of c are left out. e.registry is held.
func (e *Edge) heal(c *pool, o *OutlierConfig) {
	h := c.lane.heal
	on := o.Consecutive > 0 || o.FailurePercent > 0
	if h == nil && !on {
		return
	}
	if h == nil {
		h = &healing{edge: e, swept: e.now()}
		c.lane.heal = h
	}
	if on {
		h.policy.Store(&balance.Outlier{
			Consecutive: orNever(o.Consecutive), Status5xx: o.Status5xx, FailurePercent: o.FailurePercent,
			Base: o.Base, Max: o.Max, MaxEjected: o.MaxEjected, Factor: -1, // rates are compared with what was configured
		})
	}
	h.on.Store(on)
	h.mu.Lock()
	h.members = c.members
	h.mu.Unlock()
	for _, b := range c.backends {
		b.heal.Store(h)
	}
}

// saw notes what became of a request to b: the status of its answer, or that there was none.
func (b *backend) saw(now int64, status int, broken bool) {
	h := b.heal.Load()
	if h == nil || !h.on.Load() {
		return
	}
	p := h.policy.Load()
	if !p.Failure(status, broken) {
		b.balance.Succeeded()
		return
	}
	if b.balance.Failed(p) {
		h.eject(now, p, b)
	}
}

func (h *healing) eject(now int64, p *balance.Outlier, b *backend) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if x, ok := p.Eject(now, h.members, b.balance, balance.Consecutive); ok {
		h.edge.log.Warn("backend left out: its answers fail", "instance", b.id, "address", b.address, "for", time.Duration(x.Until-now))
		h.edge.tend() // which brings it back
	}
}

// sweep compares and brings back, and says how long until it is due again.
func (h *healing) sweep(now int64) time.Duration {
	p := h.policy.Load()
	every := sweepEvery
	if p.Base > 0 {
		every = min(every, p.Base)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if wait := h.swept + int64(every) - now; wait > 0 {
		return time.Duration(wait)
	}
	h.swept = now
	for _, x := range p.Sweep(now, h.members, nil) {
		h.edge.log.Warn("backend's answers judged", "returned", x.Why == balance.Returned, "until", time.Duration(x.Until-now))
	}
	return every
}

// examine asks b how it is, again and again, until b is retired.
func (b *backend) examine(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	var health balance.Health
	timer := time.NewTimer(0) // the first question at once
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		c := b.question()
		if c.Interval == 0 {
			b.balance.SetHealthy(true, b.edge.now())
			return
		}
		policy := c.Policy()
		next, changed := policy.Next(health, c.Ask(ctx, b.asked()))
		if ctx.Err() != nil {
			return
		}
		if health = next; changed {
			b.balance.SetHealthy(next.Healthy, b.edge.now())
			b.edge.log.Info("backend asked how it is", "instance", b.id, "address", b.address, "healthy", next.Healthy)
			b.edge.wake()
		}
		timer.Reset(policy.Delay(health, rand.Uint64()))
	}
}
