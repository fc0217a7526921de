package metrics

import (
	"slices"
	"sync/atomic"
	"time"

	"semper/edge/sketch"
)

// A Snapshot is what a registry had counted at an instant, or close to it: nothing stops while it is taken. It is a value
// that nobody changes but the [History] it is pushed to.
type Snapshot struct {
	At     time.Time `json:"at"`
	Series []Reading `json:"series"` // in the order of their keys
}

// A Reading is one series in a snapshot. All counts are since the series was made.
type Reading struct {
	Key      Key   `json:"key"`
	InFlight int64 `json:"in_flight"`
	// Classes are the requests that ended, by the first digit of their status; at 0 those that got none.
	Classes          [6]uint64     `json:"classes"`
	Latency          sketch.Counts `json:"latency,omitzero"`  // of requests, as their clients saw it
	Upstream         sketch.Counts `json:"upstream,omitzero"` // of tries that brought an answer
	Retries          uint64        `json:"retries"`
	Held             uint64        `json:"held"`
	Shed             uint64        `json:"shed"`
	UpstreamFailures uint64        `json:"upstream_errors"` // tries that brought no answer, but for those given up by the edge or the client
}

// Requests is how many requests ended.
func (r *Reading) Requests() (n uint64) {
	for _, c := range r.Classes {
		n += c
	}
	return n
}

// list is the series in the order of their keys, which nobody changes, and the families.
func (r *Registry) list() ([]*Series, []Family) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sorted == nil {
		all := make([]*Series, 0, len(r.series)+1)
		for _, s := range r.series {
			all = append(all, s)
		}
		if r.overflow != nil {
			all = append(all, r.overflow)
		}
		slices.SortFunc(all, func(a, b *Series) int { return a.key.Compare(b.key) })
		r.sorted = all
	}
	return r.sorted, slices.Clone(r.families)
}

// A sum is the counters of all loops of one series.
type sum struct {
	key      Key
	active   int64
	events   [events]uint64
	server   []cell
	client   []cell
	held     durations
	request  volumes
	response volumes
	latency  sketch.Counts
	upstream sketch.Counts
}

// A cell is the histogram of one row and column.
type cell struct {
	row, column int
	durations
}

type durations struct {
	n        [len(bounds) + 1]uint64
	sum      uint64
	examples [len(bounds) + 1]example
}

type volumes struct {
	n   [sizeSteps + 1]uint64
	sum uint64
}

func (s *Series) read() *sum {
	t := &sum{key: s.key}
	t.server = s.cells(serverRows, func(c *Counters) []atomic.Pointer[row] { return c.server[:] })
	t.client = s.cells(methods, func(c *Counters) []atomic.Pointer[row] { return c.client[:] })
	var begun int64
	for _, c := range s.shards {
		for i := range c.events {
			t.events[i] += c.events[i].Load()
		}
		t.held.add(&c.held)
		t.request.add(&c.requestBody)
		t.response.add(&c.responseBody)
		c.latency.ReadInto(&t.latency)
		c.upstream.ReadInto(&t.upstream)
		begun += c.begun.Load()
	}
	t.infer(begun)
	return t
}

// infer fills in what follows from other counts. Requests go on while they are read, so no difference is taken to be positive.
func (s *sum) infer(begun int64) {
	var ended, tries uint64
	for i := range s.server {
		ended += s.server[i].count()
	}
	for i := range s.client {
		tries += s.client[i].count()
	}
	s.active = max(begun-int64(ended), 0)
	s.events[upstreamReused] = tries - min(tries, s.events[upstreamOpened])
	s.request.n[0] = ended - min(ended, s.request.count())
	s.response.n[0] = ended - min(ended, s.response.count())
}

// cells adds up the histograms of all loops, by row and column.
func (s *Series) cells(n int, of func(*Counters) []atomic.Pointer[row]) []cell {
	var all []cell
	lines := make([]*row, 0, len(s.shards))
	for r := range n {
		lines = lines[:0]
		for _, c := range s.shards {
			if line := of(c)[r].Load(); line != nil {
				lines = append(lines, line)
			}
		}
		for c := 0; c < columns && len(lines) > 0; c++ {
			if one, ok := sumColumn(lines, c); ok {
				one.row = r
				all = append(all, one)
			}
		}
	}
	return all
}

// sumColumn adds up column c of lines. ok is false where it is empty in all.
func sumColumn(lines []*row, c int) (all cell, ok bool) {
	all.column = c
	for _, line := range lines {
		if h := line[c].Load(); h != nil {
			all.add(h)
			ok = true
		}
	}
	return all, ok
}

func (d *durations) add(h *histogram) {
	d.sum += h.sum.Load()
	for i := range h.n {
		d.n[i] += h.n[i].Load()
	}
	shown := h.exemplars.Load()
	if shown == nil {
		return
	}
	for i := range shown {
		if x := shown[i].get(); x.ended > d.examples[i].ended {
			d.examples[i] = x
		}
	}
}

func (d *durations) count() (n uint64) {
	for _, b := range d.n {
		n += b
	}
	return n
}

func (v *volumes) count() (n uint64) {
	for _, b := range v.n {
		n += b
	}
	return n
}

func (v *volumes) add(s *sizes) {
	v.sum += s.sum.Load()
	for i := range s.n {
		v.n[i] += s.n[i].Load()
	}
}
