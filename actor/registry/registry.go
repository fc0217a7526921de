package registry

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"semper/actor"
	"semper/actor/internal/owned"
)

// Keys says how many processes may have one key, and what a partition is of.
type Keys int

const (
	Unique         Keys = iota // one process at a time has a key
	Duplicate                  // any number of entries have a key; the entries of one process share a partition
	DuplicateByKey             // the same, but the entries of one key share a partition: for few entries under many keys
)

func (k Keys) String() string {
	if names := [...]string{"unique", "duplicate", "duplicate by key"}; k >= 0 && int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("keys(%d)", int(k))
}

// Options are the settings of a registry. The zero value is one of unique keys, with one partition.
type Options struct {
	Keys Keys
	// Partitions is how many parts the tables have, each with its locks: about GOMAXPROCS for a registry that many
	// processes change at once. Zero is one. It is seen from outside in Dispatch only, which calls per partition.
	Partitions int
}

// What a registry answers; steer by errors.Is. Besides there are actor.ErrInvalid for arguments without meaning and
// actor.ErrNoProc for processes that have ended.
var (
	// ErrAlreadyRegistered says that a living process has the unique key.
	ErrAlreadyRegistered = errors.New("already registered")
	// ErrNotRegistered says that the process does not have the key.
	ErrNotRegistered = errors.New("not registered by this process: register the key first")
	// ErrLocked says that the process holds the lock it asks for.
	ErrLocked = errors.New("the process holds this lock already: a lock cannot be taken twice, do the work in one function")
)

// An AlreadyRegisteredError says who has the key. errors.Is knows it as ErrAlreadyRegistered and, because it is what
// a start with the key as its name answers, as actor.ErrAlreadyStarted; errors.As finds an *actor.AlreadyStartedError in
// it.
type AlreadyRegisteredError struct {
	Key any
	PID actor.PID
}

func (e *AlreadyRegisteredError) Error() string {
	return fmt.Sprintf("key %v is registered by %v, which lives: use it, or end it first", e.Key, e.PID)
}

// Is makes it an ErrAlreadyRegistered.
func (e *AlreadyRegisteredError) Is(target error) bool { return target == ErrAlreadyRegistered }

// Unwrap is what package actor calls it.
func (e *AlreadyRegisteredError) Unwrap() error {
	return &actor.AlreadyStartedError{Name: fmt.Sprint(e.Key), PID: e.PID}
}

// A Registry maps keys to processes, each with a value. All methods are safe for concurrent use, and none waits but
// Lock. The zero Registry is ready: unique keys, one partition. A Registry must not be copied.
type Registry[K comparable, V any] struct {
	keys      Keys
	invalid   error // what is wrong with its options; said by everything that would change it
	seed      maphash.Seed
	parts     []part[K, V] // nil: only is the one
	only      part[K, V]
	owned     owned.Table[holdings[K, V], *holdings[K, V]]
	doubts    atomic.Int32
	meta      sync.Map
	listening listeners[K, V]
}

// New makes a registry, most often for a package variable. Options that have no meaning are reported by its methods,
// with actor.ErrInvalid.
func New[K comparable, V any](o Options) *Registry[K, V] {
	r := &Registry[K, V]{keys: o.Keys, seed: maphash.MakeSeed()}
	switch {
	case o.Keys < Unique || o.Keys > DuplicateByKey:
		r.invalid = fmt.Errorf("%w: a registry with %v, want Unique, Duplicate or DuplicateByKey", actor.ErrInvalid, o.Keys)
	case o.Partitions < 0:
		r.invalid = fmt.Errorf("%w: a registry of %d partitions, want 0 (one) or more", actor.ErrInvalid, o.Partitions)
	case o.Partitions > 1:
		r.parts = make([]part[K, V], o.Partitions)
		r.owned.Split(o.Partitions)
	}
	return r
}

// An Entry is one registration.
type Entry[K comparable, V any] struct {
	Key   K
	PID   actor.PID
	Value V
}

// Register gives the process the key, with a value, until it ends or unregisters it. It is for the process itself to
// call: self is its Self. A unique key that a living process has, also this one, gives an *AlreadyRegisteredError; the
// entry of a process that has ended is evicted on the spot. Under duplicate keys each call makes one more entry.
//
// Others find the entry as soon as Register returns, and none of a process once its end is told to anyone.
func (r *Registry[K, V]) Register(self actor.Process, key K, value V) error {
	if self == nil {
		return fmt.Errorf("%w: Register wants the Self of the process that is to have key %v, not nil", actor.ErrInvalid, key)
	}
	return r.register(self.PID(), key, value)
}

func (r *Registry[K, V]) register(id actor.PID, key K, value V) error {
	if err := r.judge(key); err != nil {
		return err
	}
	e := &entry[K, V]{key: key, value: value, id: id, home: r.home(key, id)}
	err := r.owned.With(id, func(h *holdings[K, V]) error {
		if holder := e.home.put(e, r.keys == Unique); holder != nil {
			return &AlreadyRegisteredError{Key: key, PID: holder.id}
		}
		h.add(e, r.keys == Unique)
		return nil
	})
	if err == nil {
		r.tell(Event[K, V]{Kind: Registered, Entry: Entry[K, V]{key, id, value}})
	}
	return err
}

// Unregister takes back all entries that the process has under the key; that it has none is fine.
func (r *Registry[K, V]) Unregister(self actor.Process, key K) {
	r.UnregisterMatch(self, key, func(V) bool { return true })
}

// UnregisterMatch takes back those entries that the process has under the key whose value matches.
func (r *Registry[K, V]) UnregisterMatch(self actor.Process, key K, match func(V) bool) {
	if self != nil && match != nil {
		r.unregister(self.PID(), key, match)
	}
}

func (r *Registry[K, V]) unregister(id actor.PID, key K, match func(V) bool) {
	var gone []*entry[K, V]
	for _, e := range r.under(key, id) {
		if v, _, ok := e.look(); ok && match(v) {
			gone = append(gone, e)
		}
	}
	if len(gone) == 0 {
		return
	}
	var dropped []Entry[K, V]
	r.owned.Known(id, func(h *holdings[K, V]) { dropped = h.drop(key, gone) })
	for _, e := range dropped {
		r.tell(Event[K, V]{Kind: Unregistered, Entry: e})
	}
}

// UpdateValue puts change(value) in the place of the value that the process has under a unique key, and returns both.
// ErrNotRegistered says that the process does not have the key. When goroutines of one process update at once, change
// is called again with the newer value.
func (r *Registry[K, V]) UpdateValue(self actor.Process, key K, change func(V) V) (now, before V, err error) {
	switch {
	case self == nil || change == nil:
		return now, before, fmt.Errorf("%w: UpdateValue wants the Self of a process and a function", actor.ErrInvalid)
	case r.keys != Unique:
		return now, before, fmt.Errorf("%w: UpdateValue is for unique keys, these are %v: unregister and register instead",
			actor.ErrInvalid, r.keys)
	}
	if err := r.judge(key); err != nil {
		return now, before, err
	}
	for {
		e := r.at(key).first(key)
		if e == nil || e.id != self.PID() {
			return now, before, fmt.Errorf("key %v: %w", key, ErrNotRegistered)
		}
		was, version, ok := e.look()
		if !ok {
			continue // evicted in this moment: then the process has ended, and the next look says so
		}
		next := change(was)
		if e.replace(next, version) {
			return next, was, nil
		}
	}
}

// judge says why a key cannot be registered.
func (r *Registry[K, V]) judge(key K) error {
	switch {
	case r.invalid != nil:
		return r.invalid
	case !r.usable(key):
		return fmt.Errorf("%w: key %v does not equal itself, or cannot be compared: nobody could find it", actor.ErrInvalid, key)
	}
	return nil
}
