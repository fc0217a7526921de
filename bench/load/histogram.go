package load

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Buckets are logarithmic with subBuckets linear steps per power of two, so a quantile is at most
// 1/subBuckets (under one percent) above the true one.
const (
	subBits    = 7
	subBuckets = 1 << subBits
	buckets    = (64 - subBits + 1) * subBuckets
)

// A Histogram of durations. Safe for concurrent use; the zero value is empty.
type Histogram struct {
	count atomic.Uint64
	max   atomic.Int64
	slots [buckets]atomic.Uint64
}

// Record adds one duration. Negative ones count as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.slots[slotOf(uint64(d))].Add(1)
	h.count.Add(1)
	for {
		m := h.max.Load()
		if int64(d) <= m || h.max.CompareAndSwap(m, int64(d)) {
			return
		}
	}
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.count.Load() }

// Max is the longest one, exactly.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Quantile is the duration that the share q of all does not exceed: the upper end of its bucket.
// q is between 0 and 1. It is zero while nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.count.Load()
	if total == 0 {
		return 0
	}
	rank := min(uint64(q*float64(total))+1, total)
	var seen uint64
	for i := range h.slots {
		seen += h.slots[i].Load()
		if seen >= rank {
			return min(time.Duration(slotEnd(i)), h.Max())
		}
	}
	return h.Max()
}

// Merge adds everything in o to h.
func (h *Histogram) Merge(o *Histogram) {
	for i := range o.slots {
		if n := o.slots[i].Load(); n > 0 {
			h.slots[i].Add(n)
		}
	}
	h.count.Add(o.count.Load())
	h.max.Store(max(h.max.Load(), o.max.Load()))
}

func slotOf(v uint64) int {
	shift := max(bits.Len64(v)-subBits-1, 0)
	return shift<<subBits + int(v>>shift)
}

// slotEnd is the largest value that falls into slot i.
func slotEnd(i int) uint64 {
	if i < 2*subBuckets {
		return uint64(i)
	}
	shift := i>>subBits - 1
	base := uint64(i - shift<<subBits)
	return (base+1)<<shift - 1
}
