package metrics

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/sketch"
)

// A Key names a series. Its values come from configuration, never from a request. The zero Key is the edge itself: requests
// that no route was found for.
type Key struct {
	App     string `json:"app,omitempty"`
	Release string `json:"release,omitempty"`
	Arm     string `json:"arm,omitempty"` // stable, candidate, baseline or tester, while a split has several
	Pool    string `json:"pool,omitempty"`
	Route   string `json:"route,omitempty"` // as configured: host and path pattern
}

// Others is the series of all keys beyond [Options].MaxSeries. No app has this name.
var Others = Key{App: "_OTHER"}

// Compare orders keys.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.App, o.App), cmp.Compare(k.Pool, o.Pool), cmp.Compare(k.Route, o.Route),
		cmp.Compare(k.Release, o.Release), cmp.Compare(k.Arm, o.Arm))
}

// Options of a [Registry]. The zero Options are usable.
type Options struct {
	Shards    int     // how many loops count; at least 1
	MaxSeries int     // 2,000 if zero
	Target    []Label // of the edge as a whole, shown once as target_info: service.name, service.instance.id, …
}

// A Label is a name and a value. Names are letters, digits and underscores, and begin with no digit; other characters are
// shown as underscores.
type Label struct{ Name, Value string }

// A Registry has all counters of an edge. Its methods are safe for concurrent use.
type Registry struct {
	max    int
	target []Label
	shards []*Shard

	mu       sync.Mutex // guards the following; counting takes no lock
	series   map[Key]*Series
	overflow *Series   // nil until it is needed
	sorted   []*Series // all in the order of their keys, changed by nobody; nil where it is to be made anew
	families []Family
}

// New makes a registry.
func New(o Options) *Registry {
	r := &Registry{max: o.MaxSeries, target: slices.Clone(o.Target), series: map[Key]*Series{}}
	if r.max <= 0 {
		r.max = 2000
	}
	for range max(o.Shards, 1) {
		r.shards = append(r.shards, new(Shard))
	}
	return r
}

// Shard is what loop i counts in that belongs to no series. Numbers beyond the last begin again at the first, so a
// connection's number does for goroutines, which share shards.
func (r *Registry) Shard(i int) *Shard { return r.shards[uint(i)%uint(len(r.shards))] }

// Series is the series of k, made if there is none. Where there are too many already it is that of [Others].
func (r *Registry) Series(k Key) *Series {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.series[k]
	switch {
	case s != nil:
		return s
	case len(r.series) < r.max:
		s = newSeries(k, len(r.shards))
		r.series[k], r.sorted = s, nil
	case r.overflow == nil:
		r.overflow, r.sorted = newSeries(Others, len(r.shards)), nil
		fallthrough
	default:
		s = r.overflow
	}
	return s
}

// Retain forgets the series whose keys keep rejects: those of releases that are gone and have nothing in flight. Counters
// of a series that was forgotten go on counting, unseen.
func (r *Registry) Retain(keep func(Key) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.series {
		if !keep(k) {
			delete(r.series, k)
			r.sorted = nil
		}
	}
}

// A Series is one release, and arm, of one pool behind one route.
type Series struct {
	key    Key
	shards []*Counters
}

func newSeries(k Key, shards int) *Series {
	s := &Series{key: k}
	for range shards {
		s.shards = append(s.shards, new(Counters))
	}
	return s
}

// Key is what the series counts; [Others] if it is the one that keys share.
func (s *Series) Key() Key { return s.key }

// Shard is the series' counters of loop i, as [Registry.Shard] has it.
func (s *Series) Shard(i int) *Counters { return s.shards[uint(i)%uint(len(s.shards))] }

const (
	schemes    = 2
	serverRows = methods * protocols * schemes

	// A line of the cache, and the one that the processor reads ahead with it.
	cacheLine = 128
)

// Counters are a series as one loop counts it. What follows from other counts is not counted: what is in flight, the tries
// on connections that were open, the bodies of no bytes. Its methods are safe for concurrent use, never block, and allocate only
// when a method, status or range of durations comes for the first time.
type Counters struct {
	begun                     atomic.Int64 // less those that left
	events                    [events]atomic.Uint64
	server                    [serverRows]atomic.Pointer[row]
	client                    [methods]atomic.Pointer[row]
	held                      histogram
	requestBody, responseBody sizes
	latency, upstream         sketch.Sketch

	_ [cacheLine]byte // two loops' counters may lie side by side
}

// Begin counts a request as active. Every Begin is followed by one [Counters.Leave] or [Counters.Done].
func (c *Counters) Begin() { c.begun.Add(1) }

// Leave takes a Begin back: the request goes on elsewhere.
func (c *Counters) Leave() { c.begun.Add(-1) }

// Done counts a request that has ended. It keeps nothing of o.
func (c *Counters) Done(o *Outcome) {
	r := min(int(o.Method), methods-1)*protocols + min(int(o.Protocol), protocols-1)
	r *= schemes
	if o.TLS {
		r++
	}
	h := at(c.server[:], r, column(o.Status))
	if i := h.add(o.Took); o.Sampled {
		h.show(i, o)
	}
	c.latency.Add(o.Took)
	c.requestBody.add(o.RequestBody)
	c.responseBody.add(o.ResponseBody)
}

// Try counts one try of a request at an instance. It keeps nothing of a.
func (c *Counters) Try(a *Attempt) {
	i := column(a.Status)
	if a.Failure != FailNone {
		i = firstFailure + min(int(a.Failure), failures-1) - 1
	}
	at(c.client[:], min(int(a.Method), methods-1), i).add(a.Took)
	if a.Failure == FailNone {
		c.upstream.Add(a.Took)
	}
	if !a.Reused {
		c.events[upstreamOpened].Add(1)
	}
}

// Held counts a request that has waited for its turn for d.
func (c *Counters) Held(d time.Duration) { c.held.add(d) }

// Count counts an event.
func (c *Counters) Count(e Event) { c.events[min(int(e), events-1)].Add(1) }

// A Shard counts what belongs to no series. Its methods are safe for concurrent use and never block.
type Shard struct {
	events [edgeEvents]atomic.Uint64
	_      [cacheLine]byte
}

// Count counts an event.
func (s *Shard) Count(e EdgeEvent) { s.events[min(int(e), edgeEvents-1)].Add(1) }
