package admit

import (
	"math"
	"sync/atomic"
	"time"
)

// Rate is a rate limit by the generic cell rate algorithm (ITU-T I.371, virtual scheduling): requests are due one interval after
// another, and one may come before it is due by the tolerance at most. So as many as the burst may come at once, and
// in the long run no more than one in an interval. The zero Rate limits nothing.
type Rate struct {
	interval  int64 // nanoseconds
	tolerance int64
}

// NewRate allows requests in each period, and burst of them at once; at least one. No requests, or no period, is no limit.
func NewRate(requests int, period time.Duration, burst int) Rate {
	if requests <= 0 || period <= 0 {
		return Rate{}
	}
	interval := max(int64(period)/int64(requests), 1)
	most := int64(math.MaxInt64/4) / interval // beyond that a burst is no limit either
	return Rate{interval: interval, tolerance: interval * min(max(int64(burst), 1)-1, most)}
}

// Take is one request at now, where the next is due at due. It returns when the one after is, and 0; or how many nanoseconds too
// early it comes, which changes nothing.
func (r Rate) Take(now, due int64) (next, early int64) {
	if early = due - r.tolerance - now; early > 0 {
		return due, early
	}
	return max(now, due) + r.interval, 0
}

// Undo is due without a request that Take has let in: as if it had never come, for whoever comes later.
func (r Rate) Undo(due int64) int64 { return due - r.interval }

// RetryAfter is the field value, in seconds, for a request that came too early.
func RetryAfter(early int64) int {
	return int(max((early+int64(time.Second)-1)/int64(time.Second), 1))
}

// A Bucket is the state of one Rate. The zero Bucket is full, for times that are not negative. It is safe for concurrent use,
// and locks nothing.
type Bucket struct{ due atomic.Int64 }

// Take is one request at now: 0, or how many nanoseconds too early it comes.
func (b *Bucket) Take(now int64, r Rate) (early int64) {
	if r.interval == 0 {
		return 0
	}
	for {
		due := b.due.Load()
		next, early := r.Take(now, due)
		if early > 0 || b.due.CompareAndSwap(due, next) {
			return early
		}
	}
}

// Undo takes back what Take has let in, because something else refuses the request.
func (b *Bucket) Undo(r Rate) { b.due.Add(-r.interval) }
