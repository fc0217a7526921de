package registry

import (
	"fmt"
	"slices"

	"semper/actor"
)

// Lookup is the entries of a key, in the order of registration, under Duplicate partition by partition. It does not ask
// whether the processes live: one that is ending just now may be among them.
func (r *Registry[K, V]) Lookup(key K) []Entry[K, V] {
	var found []Entry[K, V]
	for p := range r.holding(key) {
		found = p.under(key, found)
	}
	return found
}

// Find is the first entry of a key, and allocates nothing: it is what a look-up of a unique key needs.
func (r *Registry[K, V]) Find(key K) (Entry[K, V], bool) {
	for p := range r.holding(key) {
		if e, ok := p.get(key); ok {
			return e, true
		}
	}
	return Entry[K, V]{}, false
}

// Whereis is the living process that has a unique key. actor.ErrNoProc says that there is none, actor.ErrInvalid that
// the keys are not unique.
func (r *Registry[K, V]) Whereis(key K) (actor.PID, error) {
	if r.invalid != nil {
		return actor.PID{}, r.invalid
	}
	if r.keys != Unique {
		return actor.PID{}, fmt.Errorf("%w: a key of these may lead to many processes: use Lookup", actor.ErrInvalid)
	}
	if e, ok := r.Find(key); ok && e.PID.Alive() {
		return e.PID, nil
	}
	return actor.PID{}, fmt.Errorf("key %v: %w", key, actor.ErrNoProc)
}

// Keys is what a process has registered, in the order of registration, a key as often as it has entries.
func (r *Registry[K, V]) Keys(id actor.PID) (keys []K) {
	r.owned.Known(id, func(h *holdings[K, V]) { keys = h.keys() })
	return keys
}

// Values is the values of a process under a key, in the order of registration.
func (r *Registry[K, V]) Values(key K, id actor.PID) (values []V) {
	for _, e := range r.under(key, id) {
		if v, _, ok := e.look(); ok {
			values = append(values, v)
		}
	}
	return values
}

// under is the entries of a process under a key.
func (r *Registry[K, V]) under(key K, id actor.PID) (found []*entry[K, V]) {
	switch {
	case !r.usable(key):
	case r.keys != Unique:
		r.owned.Known(id, func(h *holdings[K, V]) { found = h.under(key) })
	default:
		if e := r.at(key).first(key); e != nil && e.id == id {
			found = append(found, e)
		}
	}
	return found
}

// Match is the entries of a key whose value matches.
func (r *Registry[K, V]) Match(key K, match func(V) bool) []Entry[K, V] {
	if match == nil {
		return nil
	}
	return slices.DeleteFunc(r.Lookup(key), func(e Entry[K, V]) bool { return !match(e.Value) })
}

// CountMatch is how many entries Match would give.
func (r *Registry[K, V]) CountMatch(key K, match func(V) bool) int { return len(r.Match(key, match)) }

// Select is the entries of the whole registry that match, in no order. They are of one moment per partition. It costs
// time in proportion to the registry.
func (r *Registry[K, V]) Select(match func(Entry[K, V]) bool) []Entry[K, V] {
	var found []Entry[K, V]
	if match == nil {
		return nil
	}
	for p := range r.every {
		for _, e := range p.all() {
			if match(e) {
				found = append(found, e)
			}
		}
	}
	return found
}

// CountSelect is how many entries Select would give.
func (r *Registry[K, V]) CountSelect(match func(Entry[K, V]) bool) (n int) {
	if match == nil {
		return 0
	}
	for p := range r.every {
		for _, e := range p.all() {
			if match(e) {
				n++
			}
		}
	}
	return n
}

// Count is the number of entries.
func (r *Registry[K, V]) Count() (n int) {
	for p := range r.every {
		n += p.count()
	}
	return n
}

// PutMeta keeps a value for the registry as a whole, such as how its users are to treat it. It has nothing to do with
// the keys of processes.
func (r *Registry[K, V]) PutMeta(key string, value any) { r.meta.Store(key, value) }

// Meta is what PutMeta kept.
func (r *Registry[K, V]) Meta(key string) (value any, ok bool) { return r.meta.Load(key) }

// DeleteMeta forgets it.
func (r *Registry[K, V]) DeleteMeta(key string) { r.meta.Delete(key) }
