package registry

import (
	"hash/maphash"
	"reflect"

	"semper/actor"
)

// at is the partition of the entries of a key, which is not one partition under Duplicate.
func (r *Registry[K, V]) at(key K) *part[K, V] {
	if r.parts == nil {
		return &r.only
	}
	return &r.parts[maphash.Comparable(r.seed, key)%uint64(len(r.parts))]
}

// home is the partition of an entry.
func (r *Registry[K, V]) home(key K, id actor.PID) *part[K, V] {
	if r.keys != Duplicate || r.parts == nil {
		return r.at(key)
	}
	return &r.parts[maphash.Comparable(r.seed, id)%uint64(len(r.parts))]
}

// every is each partition.
func (r *Registry[K, V]) every(yield func(*part[K, V]) bool) {
	if r.parts == nil {
		yield(&r.only)
		return
	}
	for i := range r.parts {
		if !yield(&r.parts[i]) {
			return
		}
	}
}

// holding is each partition that may have entries of a key.
func (r *Registry[K, V]) holding(key K) func(func(*part[K, V]) bool) {
	return func(yield func(*part[K, V]) bool) {
		switch {
		case !r.usable(key):
		case r.keys == Duplicate:
			r.every(yield)
		default:
			yield(r.at(key))
		}
	}
}

// What can be wrong with a key, by its type.
const (
	unknown int32 = iota
	nothing       // every value is found again
	some          // a value may be unlike itself (NaN), or an interface with what cannot be compared inside
)

// usable reports whether a key is found again once it is registered.
func (r *Registry[K, V]) usable(key K) bool {
	doubts := r.doubts.Load()
	if doubts == unknown {
		if doubts = nothing; dubious(reflect.TypeFor[K]()) {
			doubts = some
		}
		r.doubts.Store(doubts)
	}
	return doubts == nothing || foundAgain(key)
}

// foundAgain looks at the value of a key. It is apart from usable because what reflection sees is allocated.
//
//go:noinline
func foundAgain[K comparable](key K) bool {
	return reflect.ValueOf(&key).Elem().Comparable() && same(key, key)
}

func same[K comparable](a, b K) bool { return a == b }

func dubious(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface, reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return true
	case reflect.Array:
		return dubious(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if dubious(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}
