package metrics

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"time"

	"semper/edge/trace"
)

// bounds are the upper ends of the buckets of durations that OpenTelemetry advises for HTTP.
var bounds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 75 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second, 7500 * time.Millisecond, 10 * time.Second,
}

// Sizes are counted in the buckets 0, 256, 1024, 4096, … bytes, up to 1 GiB.
const (
	firstSize = 8  // the logarithm of the first bound after 0
	lastSize  = 30 // of the last
	sizeSteps = (lastSize-firstSize)/2 + 2
)

// sizeBound is the upper end of bucket i.
func sizeBound(i int) float64 {
	if i == 0 {
		return 0
	}
	return float64(uint64(1) << (firstSize + 2*(i-1)))
}

// A histogram counts durations between bounds. Its methods are safe for concurrent use.
type histogram struct {
	n         [len(bounds) + 1]atomic.Uint64
	sum       atomic.Uint64 // nanoseconds
	exemplars atomic.Pointer[[len(bounds) + 1]exemplar]
}

// add returns the bucket that d went to.
func (h *histogram) add(d time.Duration) int {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.n[i].Add(1)
	h.sum.Add(uint64(max(d, 0)))
	return i
}

// count is how many durations there were.
func (h *histogram) count() (n uint64) {
	for i := range h.n {
		n += h.n[i].Load()
	}
	return n
}

// show makes the request that was counted in bucket i its example.
func (h *histogram) show(i int, o *Outcome) {
	all := h.exemplars.Load()
	if all == nil {
		h.exemplars.CompareAndSwap(nil, new([len(bounds) + 1]exemplar))
		all = h.exemplars.Load()
	}
	all[i].set(o)
}

// sizes counts bytes, but for sizes of zero: there are as many of them as it takes to make one per request. Its methods are safe for concurrent use.
type sizes struct {
	n   [sizeSteps + 1]atomic.Uint64
	sum atomic.Uint64
}

func (s *sizes) add(bytes int64) {
	if bytes <= 0 {
		return
	}
	i := 1
	if l := bits.Len64(uint64(bytes - 1)); l > firstSize {
		i = min(1+(l-firstSize+1)/2, sizeSteps)
	}
	s.n[i].Add(1)
	s.sum.Add(uint64(bytes))
}

// An exemplar is one request of a bucket. Its writers take turns by the lowest bit of turn, and give up rather than wait;
// a reader who sees turn move has read a mixture and drops it.
type exemplar struct {
	turn  atomic.Uint64
	ended atomic.Int64
	value atomic.Int64
	trace [2]atomic.Uint64
	span  atomic.Uint64
}

// fresh is how long an example stays: scrapes are further apart than that.
const fresh = int64(time.Second)

func (e *exemplar) set(o *Outcome) {
	if o.Ended-e.ended.Load() < fresh {
		return
	}
	turn := e.turn.Load()
	if turn&1 == 1 || !e.turn.CompareAndSwap(turn, turn+1) {
		return
	}
	e.ended.Store(o.Ended)
	e.value.Store(int64(o.Took))
	e.trace[0].Store(binary.BigEndian.Uint64(o.Trace[:8]))
	e.trace[1].Store(binary.BigEndian.Uint64(o.Trace[8:]))
	e.span.Store(binary.BigEndian.Uint64(o.Span[:]))
	e.turn.Store(turn + 2)
}

// An example is an exemplar that was read. The zero example is none.
type example struct {
	trace trace.ID
	span  trace.SpanID
	value time.Duration
	ended int64
}

func (e *exemplar) get() example {
	turn := e.turn.Load()
	x := example{value: time.Duration(e.value.Load()), ended: e.ended.Load()}
	binary.BigEndian.PutUint64(x.trace[:8], e.trace[0].Load())
	binary.BigEndian.PutUint64(x.trace[8:], e.trace[1].Load())
	binary.BigEndian.PutUint64(x.span[:], e.span.Load())
	if turn == 0 || turn&1 == 1 || e.turn.Load() != turn {
		return example{}
	}
	return x
}

// A row has a histogram for each column that was used.
type row [columns]atomic.Pointer[histogram]

// at is the histogram in row r and column c, made if there is none.
func at(rows []atomic.Pointer[row], r, c int) *histogram {
	line := rows[r].Load()
	if line == nil {
		rows[r].CompareAndSwap(nil, new(row))
		line = rows[r].Load()
	}
	h := line[c].Load()
	if h == nil {
		line[c].CompareAndSwap(nil, new(histogram))
		h = line[c].Load()
	}
	return h
}
