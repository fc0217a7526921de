package registry

import (
	"sync"

	"semper/actor"
)

// owner is what one process has in a registry: entries, and locks. It exists while there is any of it, and is the one
// thing that the process knows of the registry: a name among its names, so that the end of the process calls Unregister
// before it tells anyone.
type owner[K comparable, V any] struct {
	r    *Registry[K, V]
	id   actor.PID
	home *part[K, V] // that lists it

	mu          sync.Mutex // guards the following
	closed      bool       // nothing is added any more: the process has ended, or had nothing left
	first, last *entry[K, V]
	n           int
	index       map[K][]*entry[K, V] // of duplicate keys, made when a walk through the list would take long
	tickets     map[*ticket[K, V]]struct{}
}

// walk is how many entries are rather walked through than indexed.
const walk = 16

// known is the owner that the process is, if it has anything.
func (r *Registry[K, V]) known(id actor.PID) *owner[K, V] {
	p := r.of(id)
	p.ownersMu.Lock()
	defer p.ownersMu.Unlock()
	return p.owners[id]
}

// owner makes a process an owner if it is none; the error is actor.ErrNoProc.
func (r *Registry[K, V]) owner(id actor.PID) (*owner[K, V], error) {
	p := r.of(id)
	p.ownersMu.Lock()
	o := p.owners[id]
	if o != nil {
		p.ownersMu.Unlock()
		return o, nil
	}
	o = &owner[K, V]{r: r, id: id, home: p}
	if p.owners == nil {
		p.owners = make(map[actor.PID]*owner[K, V])
	}
	p.owners[id] = o
	p.ownersMu.Unlock()
	if err := id.Register(o); err != nil {
		o.close() // a process that has ended did it; nobody is not a process
		return nil, err
	}
	return o, nil
}

// Register implements actor.Registrar, by which the end of the process is learned.
func (o *owner[K, V]) Register(actor.PID) error { return nil }

// Unregister is the end of the process.
func (o *owner[K, V]) Unregister(actor.PID) { o.close() }

func (o *owner[K, V]) close() {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	o.closed = true
	first, tickets := o.first, o.tickets
	o.first, o.last, o.n, o.index, o.tickets = nil, nil, 0, nil, nil
	o.mu.Unlock()
	o.unlist()
	for e := first; e != nil; e = e.after {
		e.home.remove(e)
	}
	for t := range tickets {
		t.leave()
	}
}

func (o *owner[K, V]) unlist() {
	o.home.ownersMu.Lock()
	defer o.home.ownersMu.Unlock()
	if o.home.owners[o.id] == o {
		delete(o.home.owners, o.id)
	}
}

// release gives mu back, and lets the process forget the registry when it has nothing left there.
func (o *owner[K, V]) release() {
	idle := !o.closed && o.n == 0 && len(o.tickets) == 0
	o.closed = o.closed || idle
	o.mu.Unlock()
	if idle {
		o.unlist()
		o.id.Unregister(o)
	}
}

// renew is for who found the owner closed: the process forgets it, and another may be made.
func (o *owner[K, V]) renew() {
	o.unlist()
	o.id.Unregister(o)
}

// add makes an entry. again means that the owner is closed, and the process may have another.
func (o *owner[K, V]) add(key K, value V) (again bool, err error) {
	e := &entry[K, V]{key: key, value: value, owner: o, home: o.r.home(key, o.id)}
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		o.renew()
		return true, nil
	}
	if holder := e.home.put(e, o.r.keys == Unique); holder != nil {
		o.release()
		return false, &AlreadyRegisteredError{Key: key, PID: holder.owner.id}
	}
	if o.last == nil {
		o.first = e
	} else {
		o.last.after, e.before = e, o.last
	}
	o.last = e
	o.n++
	if o.index != nil {
		o.index[key] = append(o.index[key], e)
	} else if o.n > walk && o.r.keys != Unique {
		o.index = make(map[K][]*entry[K, V], o.n)
		for e := o.first; e != nil; e = e.after {
			o.index[e.key] = append(o.index[e.key], e)
		}
	}
	o.mu.Unlock()
	return false, nil
}

// under is the owner's entries of a key, in the order of registration.
func (o *owner[K, V]) under(key K) []*entry[K, V] {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.find(key)
}

func (o *owner[K, V]) find(key K) (found []*entry[K, V]) {
	switch {
	case o.r.keys == Unique:
		if e := o.r.at(key).first(key); e != nil && e.owner == o {
			found = append(found, e)
		}
	case o.index != nil:
		found = append(found, o.index[key]...)
	default:
		for e := o.first; e != nil; e = e.after {
			if e.key == key {
				found = append(found, e)
			}
		}
	}
	return found
}

// drop takes entries of one key out, and returns those that were still in.
func (o *owner[K, V]) drop(key K, gone []*entry[K, V]) (dropped []Entry[K, V]) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil
	}
	for _, e := range gone {
		if e.home.remove(e) {
			dropped = append(dropped, e.show())
			o.forget(e)
		}
	}
	if kept := o.index[key]; len(kept) > len(dropped) {
		o.index[key] = listed(kept)
	} else if kept != nil {
		delete(o.index, key)
	}
	o.release()
	return dropped
}

// listed is those of one key that are in.
func listed[K comparable, V any](all []*entry[K, V]) []*entry[K, V] {
	kept := make([]*entry[K, V], 0, len(all))
	for _, e := range all {
		if _, _, ok := e.look(); ok {
			kept = append(kept, e)
		}
	}
	return kept
}

// forget takes an entry out of the owner's list; mu is held.
func (o *owner[K, V]) forget(e *entry[K, V]) {
	if e.before == nil {
		o.first = e.after
	} else {
		e.before.after = e.after
	}
	if e.after == nil {
		o.last = e.before
	} else {
		e.after.before = e.before
	}
	e.after, e.before = nil, nil
	o.n--
}

// keys is the key of each entry, in the order of registration.
func (o *owner[K, V]) keys() []K {
	o.mu.Lock()
	defer o.mu.Unlock()
	keys := make([]K, 0, o.n)
	for e := o.first; e != nil; e = e.after {
		keys = append(keys, e.key)
	}
	return keys
}
