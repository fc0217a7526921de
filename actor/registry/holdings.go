package registry

// holdings is what one process has in a registry: entries, and locks it holds or waits for. Its owner is locked.
type holdings[K comparable, V any] struct {
	first, last *entry[K, V]
	n           int
	index       map[K][]*entry[K, V] // of duplicate keys, made when a walk through the list would take long
	tickets     map[*ticket[K, V]]struct{}
}

// walk is how many entries are rather walked through than indexed.
const walk = 16

// Empty implements owned.Things.
func (h *holdings[K, V]) Empty() bool { return h.n == 0 && len(h.tickets) == 0 }

// Release implements owned.Things: the process has ended.
func (h *holdings[K, V]) Release() {
	for e := h.first; e != nil; e = e.after {
		e.home.remove(e)
	}
	for t := range h.tickets {
		t.leave()
	}
	*h = holdings[K, V]{}
}

// add appends an entry.
func (h *holdings[K, V]) add(e *entry[K, V], unique bool) {
	if h.last == nil {
		h.first = e
	} else {
		h.last.after, e.before = e, h.last
	}
	h.last = e
	h.n++
	switch {
	case h.index != nil:
		h.index[e.key] = append(h.index[e.key], e)
	case h.n > walk && !unique:
		h.index = make(map[K][]*entry[K, V], h.n)
		for e := h.first; e != nil; e = e.after {
			h.index[e.key] = append(h.index[e.key], e)
		}
	}
}

// under is the entries of a key that may be had more than once, in the order of registration.
func (h *holdings[K, V]) under(key K) (found []*entry[K, V]) {
	if h.index != nil {
		return append(found, h.index[key]...)
	}
	for e := h.first; e != nil; e = e.after {
		if e.key == key {
			found = append(found, e)
		}
	}
	return found
}

// drop takes entries of one key out, and returns those that were still in.
func (h *holdings[K, V]) drop(key K, gone []*entry[K, V]) (dropped []Entry[K, V]) {
	for _, e := range gone {
		if e.home.remove(e) {
			dropped = append(dropped, e.show())
			h.forget(e)
		}
	}
	if h.index == nil {
		return dropped
	}
	var kept []*entry[K, V]
	for _, e := range h.index[key] {
		if _, _, ok := e.look(); ok {
			kept = append(kept, e)
		}
	}
	if h.index[key] = kept; kept == nil {
		delete(h.index, key)
	}
	return dropped
}

// forget takes an entry out of the list.
func (h *holdings[K, V]) forget(e *entry[K, V]) {
	if e.before == nil {
		h.first = e.after
	} else {
		e.before.after = e.after
	}
	if e.after == nil {
		h.last = e.before
	} else {
		e.after.before = e.before
	}
	e.after, e.before = nil, nil
	h.n--
}

// keys is the key of each entry, in the order of registration.
func (h *holdings[K, V]) keys() []K {
	keys := make([]K, 0, h.n)
	for e := h.first; e != nil; e = e.after {
		keys = append(keys, e.key)
	}
	return keys
}
