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
	name    func(*balance.Backend) string
	swept   int64
}

// New is a ward that goes by p from now on.
func New(o Options, p *balance.Outlier, now int64) *Ward {
	w := &Ward{o: o, swept: now}
	w.policy.Store(p)
	return w
}

// Go has the ward look after members by p; nil leaves nobody out any more. The log calls a member what name says.
func (w *Ward) Go(p *balance.Outlier, members []balance.Member, name func(*balance.Backend) string) {
	if p != nil {
		w.policy.Store(p)
	}
	w.on.Store(p != nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.members, w.name = members, name
}

// Saw notes what became of a request to b, one of the members: the status of its answer, or that it broke before one.
func (w *Ward) Saw(now int64, b *balance.Backend, status int, broken bool) {
	if !w.on.Load() {
		return
	}
	p := w.policy.Load()
	if !p.Failure(status, broken) {
		b.Succeeded()
		return
	}
	if b.Failed(p) {
		w.eject(now, p, b)
	}
}

func (w *Ward) eject(now int64, p *balance.Outlier, b *balance.Backend) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x, ok := p.Eject(now, w.members, b, balance.Consecutive); ok {
		w.log(now, x)
		w.o.Ejected()
	}
}

// log tells what was decided of a backend. w.mu is held.
func (w *Ward) log(now int64, x balance.Ejection) {
	if x.Why == balance.Returned {
		w.o.Log.Info("backend is asked again: its time out is over", "instance", w.name(x.Backend))
		return
	}
	w.o.Log.Warn("backend left out: its answers fail", "instance", w.name(x.Backend), "why", reasons[x.Why], "for", time.Duration(x.Until-now))
}

var reasons = [...]string{
	balance.Consecutive: "failures in a row",
	balance.SuccessRate: "more failures than the others",
	balance.FailureRate: "more failures than it may have",
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
		w.log(now, x)
	}
	return every
}
