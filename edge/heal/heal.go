// Package heal leaves backends of a pool out for what becomes of their requests, and brings them back: package balance's opinion
// on outliers, with the lock and the memory that it needs.
package heal

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/balance"
)

// every is how often the answers of a pool's backends are compared, where they do not come back sooner.
const every = 10 * time.Second

// Options of a [Ward].
type Options struct {
	Log *slog.Logger
	// Ejected is called when a backend was left out: [Ward.Sweep] is due to be asked.
	Ejected func()
}

// A Ward looks after the backends of one pool. It lives on from snapshot to snapshot. Its methods are safe for concurrent use.
type Ward struct {
	o      Options
	policy atomic.Pointer[balance.Outlier]
	on     atomic.Bool // else it only brings back whom it has left out

	mu      sync.Mutex       // guards what follows, and what the policy remembers of backends
	members []balance.Member // as of the newest snapshot
	swept   int64
}

// New is a ward that goes by p from now on.
func New(o Options, p *balance.Outlier, now int64) *Ward {
	w := &Ward{o: o, swept: now}
	w.policy.Store(p)
	return w
}

// Go has the ward look after members by p; nil leaves nobody out any more.
func (w *Ward) Go(p *balance.Outlier, members []balance.Member) {
	if p != nil {
		w.policy.Store(p)
	}
	w.on.Store(p != nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.members = members
}

// Saw notes what became of a request to b, one of the members, whose name is for the log: the status of its answer, or that it
// broke before one.
func (w *Ward) Saw(now int64, b *balance.Backend, name string, status int, broken bool) {
	if !w.on.Load() {
		return
	}
	p := w.policy.Load()
	if !p.Failure(status, broken) {
		b.Succeeded()
		return
	}
	if b.Failed(p) {
		w.eject(now, p, b, name)
	}
}

func (w *Ward) eject(now int64, p *balance.Outlier, b *balance.Backend, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x, ok := p.Eject(now, w.members, b, balance.Consecutive); ok {
		w.o.Log.Warn("backend left out: its answers fail", "instance", name, "for", time.Duration(x.Until-now))
		w.o.Ejected()
	}
}

// Sweep compares and brings back, and says how long until it is due again.
func (w *Ward) Sweep(now int64) time.Duration {
	p := w.policy.Load()
	every := every
	if p.Base > 0 {
		every = min(every, p.Base)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if wait := w.swept + int64(every) - now; wait > 0 {
		return time.Duration(wait)
	}
	w.swept = now
	for _, x := range p.Sweep(now, w.members, nil) {
		w.o.Log.Warn("backend's answers judged", "returned", x.Why == balance.Returned, "until", time.Duration(x.Until-now))
	}
	return every
}
