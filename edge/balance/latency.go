package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// decay is the time in which the weight of what was falls to 1/e: ten seconds, as in Finagle and Linkerd.
const decay = 10 * time.Second

// The word of a Latency: the float32 of the nanoseconds above, the time in ticks of 2^16 ns (66 µs) below. Ticks wrap after
// 78 hours; a backend that was asked nothing for so long shows an old latency until it is asked.
const (
	tickShift = 16
	// late is how far back, in ticks, an observation may lie behind the last: loops read their clocks at different moments.
	late = 1 << 20
)

// Latency is a peak-EWMA: an exponentially weighted moving average of latency that rises at once and falls slowly, so that a
// backend that stalls is avoided from its first slow answer on. With d since the last observation and τ = 10 s:
//
//	latency > average:  average = latency
//	otherwise:          average = average · e^(-d/τ) + latency · (1 - e^(-d/τ))
//
// Read later, it has decayed by e^(-d/τ) as well, so that a slow backend is tried again after a while. The rule is that of
// Finagle's PeakEwma; the weight by time is from Eckner, Algorithms for Unevenly Spaced Time Series. The zero Latency has
// seen nothing. Its methods are safe for concurrent use, and lock nothing.
type Latency struct{ word atomic.Uint64 }

// Observe notes a latency. Of a failure it should be told nothing, or the time that was allowed for it: who fails fast
// is not fast.
func (l *Latency) Observe(now int64, took time.Duration) {
	tick := uint32(now >> tickShift)
	for {
		word := l.word.Load()
		average, passed := unpack(word, tick)
		took := float64(max(took, 1))
		if took < average {
			if passed == 0 {
				return // weighs nothing
			}
			took = average + (average-took)*math.Expm1(-passed/float64(decay))
		}
		at := tick
		if word != 0 && passed == 0 {
			at = uint32(word)
		}
		if l.word.CompareAndSwap(word, uint64(math.Float32bits(float32(took)))<<32|uint64(at)) {
			return
		}
	}
}

// Load is the average in nanoseconds as it has decayed until now; 0 when nothing was observed.
func (l *Latency) Load(now int64) float64 {
	average, passed := unpack(l.word.Load(), uint32(now>>tickShift))
	if passed == 0 {
		return average
	}
	return average * math.Exp(-passed/float64(decay))
}

// unpack is the average and the nanoseconds that passed since.
func unpack(word uint64, tick uint32) (average, passed float64) {
	average = float64(math.Float32frombits(uint32(word >> 32)))
	ticks := tick - uint32(word)
	if ticks > math.MaxUint32-late {
		ticks = 0
	}
	return average, float64(uint64(ticks) << tickShift)
}
