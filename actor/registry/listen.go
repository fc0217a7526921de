package registry

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"semper/actor"
)

// Kind is what an Event tells.
type Kind int

// The kinds of an Event.
const (
	Registered   Kind = iota // an entry was made
	Unregistered             // an entry was taken back by its process
)

func (k Kind) String() string {
	if names := [...]string{"registered", "unregistered"}; k >= 0 && int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// An Event tells a listener of one entry that a process has made or taken back. The end of a process is no Event: who
// wants to know of it monitors the process.
type Event[K comparable, V any] struct {
	Kind Kind
	Entry[K, V]
}

type listener[K comparable, V any] struct{ f func(Event[K, V]) }

// listeners is a list that is replaced, not changed.
type listeners[K comparable, V any] struct {
	mu  sync.RWMutex
	all []*listener[K, V]
}

// Listen makes f hear of what is registered and unregistered from now on. It is called after the fact, by the goroutine
// of the process that did it, with no lock held; it must be quick and must not wait. What one process does arrives in
// order. A listener that is a process passes it on:
//
//	stop := rooms.Listen(func(e registry.Event[string, int]) { _ = audit.Cast(changed{e}) })
//
// A listener that panics is reported to log/slog and heard no more: the process that registers did nothing wrong. stop
// takes the listener back.
func (r *Registry[K, V]) Listen(f func(Event[K, V])) (stop func()) {
	if f == nil {
		return func() {}
	}
	l := &listener[K, V]{f: f}
	r.listening.mu.Lock()
	defer r.listening.mu.Unlock()
	r.listening.all = append(slices.Clip(r.listening.all), l)
	return func() { r.listening.drop(l) }
}

func (ls *listeners[K, V]) drop(l *listener[K, V]) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if i := slices.Index(ls.all, l); i >= 0 {
		ls.all = slices.Delete(slices.Clone(ls.all), i, i+1)
	}
}

func (r *Registry[K, V]) tell(e Event[K, V]) {
	r.listening.mu.RLock()
	all := r.listening.all
	r.listening.mu.RUnlock()
	for _, l := range all {
		if broken := l.hear(e); broken != nil {
			r.listening.drop(l)
			slog.Error("a listener of a registry panicked and is heard no more", "key", fmt.Sprint(e.Key), "event", e.Kind.String(),
				"panic", broken.Value, "stack", string(broken.Stack))
		}
	}
}

func (l *listener[K, V]) hear(e Event[K, V]) (broken *actor.PanicError) {
	done := false
	defer func() {
		if !done {
			broken = caught(recover())
		}
	}()
	l.f(e)
	done = true
	return nil
}
