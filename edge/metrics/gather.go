package metrics

import (
	"slices"
	"sync/atomic"
	"time"

	"semper/edge/sketch"
)

// A Gathering is a [Snapshot] that is made in pieces, so that whoever looks at many series every second leaves the processor to
// requests in between. It belongs to one goroutine.
type Gathering struct {
	series []*Series
	before *Snapshot
	s      *Snapshot
}

// Gather begins a snapshot of all series. What stands still since before, an earlier one of r that may be nil, is shared with it: until
// the snapshot is whole, before is not to lose its latencies.
func (r *Registry) Gather(now time.Time, before *Snapshot) *Gathering {
	all, _ := r.list()
	return &Gathering{series: all, before: before, s: &Snapshot{At: now, Series: make([]Reading, 0, len(all))}}
}

// Read reads the next n series, a few microseconds each, and reports whether there are more.
func (g *Gathering) Read(n int) (more bool) {
	at := len(g.s.Series)
	for _, one := range g.series[at:min(at+n, len(g.series))] {
		g.s.Series = append(g.s.Series, one.reading(g.before.of(len(g.s.Series), one.key)))
	}
	return len(g.s.Series) < len(g.series)
}

// Snapshot is what was read.
func (g *Gathering) Snapshot() *Snapshot { return g.s }

// Snapshot reads all series. It takes a few microseconds for each.
func (r *Registry) Snapshot(now time.Time) *Snapshot {
	g := r.Gather(now, nil)
	for g.Read(len(g.series)) {
	}
	return g.Snapshot()
}

// of is the reading of k, which stands at i unless series came or went; one of nothing where there is none.
func (s *Snapshot) of(i int, k Key) *Reading {
	switch {
	case s == nil:
		return &Reading{}
	case i < len(s.Series) && s.Series[i].Key == k:
		return &s.Series[i]
	}
	if at, ok := slices.BinarySearchFunc(s.Series, k, func(r Reading, k Key) int { return r.Key.Compare(k) }); ok {
		return &s.Series[at]
	}
	return &Reading{}
}

// reading is the part of s that reports are made of. Latencies are most of it: where none was added since old, they are old's.
func (s *Series) reading(old *Reading) Reading {
	r := Reading{Key: s.key}
	var answered uint64
	var begun int64
	for _, c := range s.shards {
		tallied(c.server[:], func(column int, n uint64) { r.Classes[class(column)] += n })
		tallied(c.client[:], func(column int, n uint64) {
			switch {
			case column < firstFailure:
				answered += n
			case column != firstFailure+int(FailCanceled)-1:
				r.UpstreamFailures += n
			}
		})
		for _, e := range [...]Event{RetryConnect, RetryReset, RetryStatus} {
			r.Retries += c.events[e].Load()
		}
		for _, e := range [...]Event{ShedHoldRequests, ShedHoldBytes, ShedHoldAge, ShedQueue, ShedLimit, ShedLoad, ShedRate} {
			r.Shed += c.events[e].Load()
		}
		r.Held += c.held.count()
	}
	for _, c := range s.shards { // behind what ended: a request is not in flight before it began
		begun += c.begun.Load()
	}
	r.InFlight = max(begun-int64(r.Requests()), 0)
	r.Latency = s.latencies(old.Latency, r.Requests(), func(c *Counters) *sketch.Sketch { return &c.latency })
	r.Upstream = s.latencies(old.Upstream, answered, func(c *Counters) *sketch.Sketch { return &c.upstream })
	return r
}

// tallied calls f for each histogram there is, with how many it counted.
func tallied(rows []atomic.Pointer[row], f func(column int, n uint64)) {
	for i := range rows {
		line := rows[i].Load()
		if line == nil {
			continue
		}
		for c := range line {
			if h := line[c].Load(); h != nil {
				f(c, h.count())
			}
		}
	}
}

// latencies are those of all loops; old itself, which nobody changes, where they are still as many.
func (s *Series) latencies(old sketch.Counts, many uint64, of func(*Counters) *sketch.Sketch) sketch.Counts {
	if old.Count() == many {
		return old
	}
	var all sketch.Counts
	for _, c := range s.shards {
		of(c).ReadInto(&all)
	}
	return all
}
