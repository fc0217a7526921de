package balance

import (
	"sync/atomic"
	"time"

	"semper/edge/epoch"
)

// Why a backend is out. They are bits: it may be out for several reasons.
const (
	isDown uint32 = 1 << iota
	isUnhealthy
	isEjected
)

const cacheLine = 64

// Changes counts the changes of fitness of all backends that share it, so that a [Picker] notices them. The zero Changes
// is ready to use.
type Changes struct{ n atomic.Uint64 }

// A Backend is what balancing knows of one backend, over all route tables that name it. Its counters are written by
// every request, and are apart from each other and from what is only read.
//
// Its methods are safe for concurrent use.
type Backend struct {
	// InFlight is the requests that it has in hand.
	InFlight epoch.Count

	latency Latency
	failing atomic.Uint32 // failures since the last success
	good    atomic.Uint32 // answers since the last sweep
	bad     atomic.Uint32 // failures since then
	_       [cacheLine - 20]byte

	id      uint64
	changes *Changes
	out     atomic.Uint32
	since   atomic.Int64 // when it became fit

	ejection ejection
}

// NewBackend is one that becomes fit now. The name tells it from others wherever keys are hashed: the same name, the same
// share of the keys, in every process.
func NewBackend(name string, changes *Changes, now int64) *Backend {
	b := &Backend{id: mix(Hash([]byte(name))), changes: changes}
	b.since.Store(now)
	return b
}

// Fit reports whether nothing speaks against it.
func (b *Backend) Fit() bool { return b.out.Load() == 0 }

// Down reports whether it is known to be dead.
func (b *Backend) Down() bool { return b.out.Load()&isDown != 0 }

// Ejected reports whether its answers speak against it.
func (b *Backend) Ejected() bool { return b.out.Load()&isEjected != 0 }

// SetDown says that it is dead, or not any more.
func (b *Backend) SetDown(down bool, now int64) { b.set(isDown, down, now) }

// SetHealthy says what its probes say.
func (b *Backend) SetHealthy(healthy bool, now int64) { b.set(isUnhealthy, !healthy, now) }

// set changes one reason, and tells of it when that changed anything. The order matters: whoever sees the
// change counted sees the change.
func (b *Backend) set(reason uint32, on bool, now int64) {
	if on {
		if b.out.Or(reason)&reason != 0 {
			return
		}
	} else {
		before := b.out.And(^reason)
		if before&reason == 0 {
			return
		}
		if before == reason {
			b.since.Store(now)
		}
	}
	b.changes.n.Add(1)
}

// Observe notes how long the backend took to answer; see [Latency.Observe].
func (b *Backend) Observe(now int64, took time.Duration) { b.latency.Observe(now, took) }

// Latency is its peak-EWMA latency at now; zero if nothing is known of it.
func (b *Backend) Latency(now int64) time.Duration { return time.Duration(b.latency.Load(now)) }

// A Member is a backend of a pool.
type Member struct {
	*Backend
	Weight uint16 // its share is in proportion to it; 0 gets nothing
}

// fullWeight is what the weight 1 counts when a backend has started; one that starts counts less of it.
const fullWeight = 1024

// weigh is the weight of m at now, in parts of fullWeight, and whether it still rises. Over the window it goes from
// a tenth to all, as in Envoy's slow start with aggression 1: weight × max(10 %, time / window).
func weigh(m Member, now int64, window time.Duration) (weight uint32, rising bool) {
	full := uint32(m.Weight) * fullWeight
	passed := max(now-m.since.Load(), 0)
	if passed >= int64(window) {
		return full, false
	}
	part := max(float64(passed)/float64(window), 0.1)
	return max(uint32(part*float64(full)), 1), true
}
