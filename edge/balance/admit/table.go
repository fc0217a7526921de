package admit

import (
	"hash/maphash"
	"math/bits"
	"sync"
)

// ways is how many entries a set has; those of two 64-byte lines, with the lock.
const ways = 7

// A Table is a Bucket for each of many clients, in a bounded space. An entry of a client that is due by now says no more than none
// would, so there is nothing to clean up: a new client takes the place of the one in its set that is due first, which costs that
// one something only when all in the set are active.
//
// Times are not negative. It is safe for concurrent use. Each set has a lock, held for a few instructions, over nothing that waits.
type Table struct {
	seed maphash.Seed
	sets []set
}

type set struct {
	mu      sync.Mutex // guards what follows
	entries [ways]entry
}

type entry struct {
	key uint64
	due int64
}

// NewTable has room for about so many clients at a time.
func NewTable(clients int) *Table {
	sets := max((clients+ways-1)/ways, 1)
	return &Table{seed: maphash.MakeSeed(), sets: make([]set, 1<<bits.Len(uint(sets-1)))}
}

// Clients is how many it has room for.
func (t *Table) Clients() int { return len(t.sets) * ways }

// Take is one request of client at now to what is limited by r: a route has a number. The result is 0, or how many nanoseconds too
// early it comes. Two clients that hash alike, with a seed that nobody knows, share a bucket: once in 2^64.
func (t *Table) Take(now int64, r Rate, route uint64, client []byte) (early int64) {
	if r.interval == 0 {
		return 0
	}
	key, set := t.find(route, client)
	set.mu.Lock()
	defer set.mu.Unlock()
	e := &set.entries[0]
	for i := range set.entries {
		switch other := &set.entries[i]; {
		case other.key == key:
			other.due, early = r.Take(now, other.due)
			return early
		case other.due < e.due:
			e = other
		}
	}
	e.key = key
	e.due, early = r.Take(now, now)
	return early
}

func (t *Table) find(route uint64, client []byte) (key uint64, s *set) {
	key = maphash.Bytes(t.seed, client) ^ route*0x9e3779b97f4a7c15
	return key, &t.sets[(key>>32^key)&uint64(len(t.sets)-1)]
}

// Undo takes back what Take has let in, because something else refuses the request.
func (t *Table) Undo(r Rate, route uint64, client []byte) {
	key, set := t.find(route, client)
	set.mu.Lock()
	defer set.mu.Unlock()
	for i := range set.entries {
		if e := &set.entries[i]; e.key == key {
			e.due = r.Undo(e.due)
			return
		}
	}
}
