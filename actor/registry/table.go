package registry

import (
	"sync"

	"semper/actor"
)

// part is one partition: entries by key, and queues of locks by key. The order of locks is that of the owner, then one of
// those here, then nothing: what is called with them held is Alive alone, which takes the process's own and gives it
// back. No function of a user is called with any of them held.
type part[K comparable, V any] struct {
	mu      sync.RWMutex
	entries map[K]*entry[K, V] // the first of each key
	n       int

	queuesMu sync.Mutex
	queues   map[K]*queue[K, V]
}

// entry stands in two lists: of its key and of its process, both in the order of registration.
type entry[K comparable, V any] struct {
	key  K
	id   actor.PID
	home *part[K, V]

	// Guarded by home.mu.
	value      V
	next, prev *entry[K, V] // a ring
	version    uint32       // of value
	listed     bool

	after, before *entry[K, V] // guarded by the owner's lock
}

func (e *entry[K, V]) show() Entry[K, V] { return Entry[K, V]{e.key, e.id, e.value} }

// look reads the value; false means that the entry is gone.
func (e *entry[K, V]) look() (v V, version uint32, ok bool) {
	e.home.mu.RLock()
	defer e.home.mu.RUnlock()
	return e.value, e.version, e.listed
}

// replace changes the value, unless it has been changed since it was looked at.
func (e *entry[K, V]) replace(v V, version uint32) bool {
	e.home.mu.Lock()
	defer e.home.mu.Unlock()
	if !e.listed || e.version != version {
		return false
	}
	e.value = v
	e.version++
	return true
}

// first is the first entry of a key.
func (p *part[K, V]) first(key K) *entry[K, V] {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.entries[key]
}

// get is a copy of the first entry of a key.
func (p *part[K, V]) get(key K) (Entry[K, V], bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if e := p.entries[key]; e != nil {
		return e.show(), true
	}
	return Entry[K, V]{}, false
}

// put lists an entry. If its key is to be unique and a living process has it, that one's entry is returned instead.
func (p *part[K, V]) put(e *entry[K, V], unique bool) (holder *entry[K, V]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.entries[e.key]
	if first != nil && unique {
		if first.id.Alive() {
			return first
		}
		p.unlist(first) // its process has ended, and has not been cleaned up yet
		first = nil
	}
	e.listed = true
	p.n++
	if first != nil {
		e.next, e.prev = first, first.prev
		first.prev.next, first.prev = e, e
		return nil
	}
	e.next, e.prev = e, e
	if p.entries == nil {
		p.entries = make(map[K]*entry[K, V])
	}
	p.entries[e.key] = e
	return nil
}

// remove takes an entry out, unless it is out already.
func (p *part[K, V]) remove(e *entry[K, V]) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !e.listed {
		return false
	}
	p.unlist(e)
	return true
}

// unlist takes an entry out that is in; mu is held.
func (p *part[K, V]) unlist(e *entry[K, V]) {
	e.listed = false
	p.n--
	if e.next == e {
		delete(p.entries, e.key)
		return
	}
	if p.entries[e.key] == e {
		p.entries[e.key] = e.next
	}
	e.next.prev, e.prev.next = e.prev, e.next
	e.next, e.prev = nil, nil
}

// under appends the entries of a key.
func (p *part[K, V]) under(key K, to []Entry[K, V]) []Entry[K, V] {
	p.mu.RLock()
	defer p.mu.RUnlock()
	first := p.entries[key]
	for e := first; e != nil; {
		to = append(to, e.show())
		if e = e.next; e == first {
			break
		}
	}
	return to
}

// all is every entry.
func (p *part[K, V]) all() []Entry[K, V] {
	p.mu.RLock()
	defer p.mu.RUnlock()
	to := make([]Entry[K, V], 0, p.n)
	for _, first := range p.entries {
		for e := first; ; {
			to = append(to, e.show())
			if e = e.next; e == first {
				break
			}
		}
	}
	return to
}

func (p *part[K, V]) count() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.n
}
