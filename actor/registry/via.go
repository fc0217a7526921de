package registry

import (
	"fmt"

	"semper/actor"
)

// As makes a key the name of a process that is started: it goes into actor.Options.Name. The process has the key before
// its Init runs, and a start while another process has it gives the error of Register with that one's PID. The keys must
// be unique. It is what {via, Registry, {R, Key, Value}} is in Elixir.
func (r *Registry[K, V]) As(key K, value V) actor.Registrar {
	return via[K, V]{r: r, key: key, value: value}
}

type via[K comparable, V any] struct {
	r     *Registry[K, V]
	key   K
	value V
}

func (v via[K, V]) String() string { return fmt.Sprint(v.key) }

func (v via[K, V]) Register(id actor.PID) error {
	if v.r.keys != Unique {
		return fmt.Errorf("%w: As is for unique keys, these are %v: register in Init instead", actor.ErrInvalid, v.r.keys)
	}
	return v.r.register(id, v.key, v.value)
}

func (v via[K, V]) Unregister(id actor.PID) {
	if id.Alive() { // of one that has ended, the owner has taken it out
		v.r.unregister(id, v.key, func(V) bool { return true })
	}
}

// An Address leads to whatever living process has a key at the moment of sending. Addresses are comparable and safe for
// concurrent use.
type Address[M any, K comparable, V any] struct {
	r   *Registry[K, V]
	key K
}

// Ref is the address of the process that has a unique key, for those who know the type of its messages. It is an
// actor.Target, so that calls go to the key:
//
//	n, err := actor.Call(ctx, registry.Ref[message](rooms, "lobby"), ask)
func Ref[M any, K comparable, V any](r *Registry[K, V], key K) Address[M, K, V] {
	return Address[M, K, V]{r: r, key: key}
}

// Resolve is the process that has the key now. actor.ErrNoProc says that none has, actor.ErrInvalid that it takes other
// messages.
func (a Address[M, K, V]) Resolve() (actor.Ref[M], error) {
	if a.r == nil {
		return actor.Ref[M]{}, actor.ErrNoProc
	}
	id, err := a.r.Whereis(a.key)
	if err != nil {
		return actor.Ref[M]{}, err
	}
	return actor.RefOf[M](id)
}

// Cast sends a message to the process that has the key now, as Ref.Cast of package actor.
func (a Address[M, K, V]) Cast(m M) error {
	to, err := a.Resolve()
	if err != nil {
		return err
	}
	return to.Cast(m)
}

func (a Address[M, K, V]) String() string { return fmt.Sprint(a.key) }
