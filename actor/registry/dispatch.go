package registry

import (
	"errors"
	"runtime/debug"
	"sync"

	"semper/actor"
)

// Dispatch calls f with the entries of a key, in the goroutine of the caller: once with all, or under Duplicate once for
// each partition that has some. Without entries it is not called. It holds no lock: f may do what it likes.
func (r *Registry[K, V]) Dispatch(key K, f func([]Entry[K, V])) {
	if f == nil {
		return
	}
	for p := range r.holding(key) {
		if entries := p.under(key, nil); len(entries) > 0 {
			f(entries)
		}
	}
}

// DispatchParallel is Dispatch with a goroutine for each partition that has entries, for the many entries of Duplicate;
// it returns when all have returned. A panic of one becomes, when all have ended, a panic of the caller, with an
// *actor.PanicError. When there is one batch, the caller's goroutine does it.
func (r *Registry[K, V]) DispatchParallel(key K, f func([]Entry[K, V])) {
	if f == nil {
		return
	}
	var batches [][]Entry[K, V]
	for p := range r.holding(key) {
		if entries := p.under(key, nil); len(entries) > 0 {
			batches = append(batches, entries)
		}
	}
	if len(batches) == 1 {
		f(batches[0])
		return
	}
	var all sync.WaitGroup
	broken := make([]*actor.PanicError, len(batches))
	for i, entries := range batches {
		all.Go(func() {
			done := false
			defer func() {
				if !done {
					broken[i] = caught(recover())
				}
			}()
			f(entries)
			done = true
		})
	}
	all.Wait()
	for _, b := range broken {
		if b != nil {
			panic(b)
		}
	}
}

var errGoexit = errors.New("the function ended its goroutine (runtime.Goexit, as t.FailNow does)")

// caught is what ended a function that did not return.
func caught(v any) *actor.PanicError {
	if v == nil {
		v = errGoexit
	}
	return &actor.PanicError{Value: v, Stack: debug.Stack()}
}
