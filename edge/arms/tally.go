package arms

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"semper"
	"semper/edge/sketch"
)

// A Key names a [Tally].
type Key struct {
	Pool    semper.PoolKey // of the service: the stable arm's
	Rollout string         // empty where there is no split
	Release semper.ReleaseName
	Arm     semper.Arm
}

func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Pool, o.Pool), cmp.Compare(k.Rollout, o.Rollout), cmp.Compare(k.Release, o.Release), cmp.Compare(k.Arm, o.Arm))
}

// A Tally counts the requests of one arm. Counting is safe for concurrent use, takes no lock, and allocates only for durations
// and users in ranges that come for the first time.
type Tally struct {
	key    Key
	shards []counters // by loop
	users  seen       // whose keys were seen
	hurt   seen       // of them: that met a failure
}

// counters are a tally as one loop has it.
type counters struct {
	assigned, missed, gone, requests, failed atomic.Uint64

	latency sketch.Sketch
	_       [cacheLine]byte // two loops' counters may lie side by side
}

const cacheLine = 128

func (t *Tally) of(shard int) *counters { return &t.shards[uint(shard)%uint(len(t.shards))] }

// done counts a request that has ended. What is a part of something is counted behind it, and read before it, so that no reading
// has more of the part.
func (t *Tally) done(r *Request, took time.Duration, failed bool) {
	c := t.of(r.shard)
	c.requests.Add(1)
	c.latency.Add(took)
	if failed {
		c.failed.Add(1)
	}
	if !r.keyed {
		return
	}
	t.users.add(r.key)
	if failed {
		t.hurt.add(r.key)
	}
}

func (t *Tally) read(edge string) semper.ArmCounts {
	c := semper.ArmCounts{Edge: edge, Pool: t.key.Pool, Rollout: t.key.Rollout, Release: t.key.Release, Arm: t.key.Arm}
	c.Hurt = t.hurt.n.Load()
	c.Users = t.users.n.Load()
	var latency sketch.Counts
	for i := range t.shards {
		s := &t.shards[i]
		c.Failed += s.failed.Load()
		s.latency.ReadInto(&latency)
		c.Requests += s.requests.Load()
		c.Gone += s.gone.Load()
		c.Missed += s.missed.Load()
		c.Assigned += s.assigned.Load()
	}
	if latency.Count() > 0 {
		c.Latency, _ = latency.MarshalBinary() //nolint:errcheck // it never fails
	}
	return c
}

// A map of bits has pages, which are made when one of their bits is.
const (
	seenBits  = 22
	pageBits  = 15
	pageWords = 1 << (pageBits - 6)
)

// seen counts which hashes it has met. It is safe for concurrent use.
type seen struct {
	n     atomic.Uint64
	pages [1 << (seenBits - pageBits)]atomic.Pointer[[pageWords]atomic.Uint64]
}

// add takes the low bits of h: by the high ones it came to its arm.
func (s *seen) add(h uint64) {
	i := h & (1<<seenBits - 1)
	p := &s.pages[i>>pageBits]
	page := p.Load()
	if page == nil {
		p.CompareAndSwap(nil, new([pageWords]atomic.Uint64))
		page = p.Load()
	}
	word, bit := &page[i>>6&(pageWords-1)], uint64(1)<<(i&63)
	if word.Load()&bit == 0 && word.Or(bit)&bit == 0 {
		s.n.Add(1)
	}
}

// keptFor is how long a tally is told after its arm has left the table: a judge that is started again reads the end of it.
const keptFor = 10 * time.Minute

// Tallies are those of one edge, in one of its lives. Their methods are safe for concurrent use.
type Tallies struct {
	edge   string
	shards int

	mu  sync.Mutex // guards what follows
	all map[Key]*entry
}

type entry struct {
	Tally
	gone time.Time // since when no table has it; zero: one does
}

// NewTallies has none yet. shards is how many loops count; the name is that of the edge, and began when its life did.
func NewTallies(name string, began time.Time, shards int) *Tallies {
	return &Tallies{edge: name + "@" + began.UTC().Format(time.RFC3339Nano), shards: max(shards, 1), all: make(map[Key]*entry)}
}

// turn is the tallies of keys, which a table has from now on; those of others are on their way out.
func (t *Tallies) turn(keys []Key, now time.Time) map[Key]*Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	current := make(map[Key]*Tally, len(keys))
	for _, k := range keys {
		e := t.all[k]
		if e == nil {
			e = &entry{Tally: Tally{key: k, shards: make([]counters, t.shards)}}
			t.all[k] = e
		}
		e.gone = time.Time{}
		current[k] = &e.Tally
	}
	for k, e := range t.all {
		if current[k] == nil && e.gone.IsZero() {
			e.gone = now
		}
	}
	t.forgetLocked(now)
	return current
}

func (t *Tallies) forgetLocked(now time.Time) {
	for k, e := range t.all {
		if !e.gone.IsZero() && now.Sub(e.gone) >= keptFor {
			delete(t.all, k)
		}
	}
}

// Counts are what was counted since the edge began, in the order of pool, rollout, release and arm. A reading never has more
// requests than were assigned, nor more failures or users hurt than requests or users.
func (t *Tallies) Counts(now time.Time) []semper.ArmCounts {
	t.mu.Lock()
	t.forgetLocked(now)
	all := make([]*Tally, 0, len(t.all))
	for _, e := range t.all {
		all = append(all, &e.Tally)
	}
	t.mu.Unlock()
	slices.SortFunc(all, func(a, b *Tally) int { return a.key.compare(b.key) })
	out := make([]semper.ArmCounts, len(all))
	for i, one := range all {
		out[i] = one.read(t.edge)
	}
	return out
}
