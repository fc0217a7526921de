// Package epoch is the one protocol by which the edge changes: how a value that says where requests go is
// replaced while requests are under way, so that whoever replaced it knows, and does not hope, what still
// uses what it left out.
//
// # Problem
//
// A proxy that reads a pointer to its routes, picks a release, and then counts itself in flight has a gap: between the
// read and the count the routes may be replaced, the old release be found idle, and be stopped. A lock around both
// closes the gap and costs every request a lock. Waiting "long enough" closes it most of the time.
//
// # Protocol
//
//	request                              change
//	1  s = current                       a  current = new
//	2  pick a release by s               b  retire what is left out
//	3  count it in flight                c  read its count: at zero it is unused;
//	4  current == s ?  yes: go on           else whoever brings it to zero says so
//	                   no: count it out, begin at 1
//
// The request writes its count and then reads the pointer; the change writes the pointer and then reads the count. In
// every order of these four at least one of them sees the other: either the change sees the count, or the request sees
// the change and takes its count back. This is Dekker's argument, and it needs sequential consistency, which Go's
// sync/atomic promises. From it follow, with no lock on the path:
//
//   - Cutover. Once [Current.Swap] has returned, no request goes on by the value before.
//   - Drain. What is then counted on a release left out only falls, apart from requests that are about to take their
//     count back. At zero nobody uses it, and nobody will.
//   - Hold. A value that holds requests lets none go on, as the last look of a request is at the value that it goes by.
//
// A model in the tests explores every interleaving of the protocol, and finds the fault in each variant of it that
// leaves a step out.
//
// # Use
//
//	for {
//		s := current.Load()
//		b := pick(s)
//		if b == nil {
//			<-current.Changed(s) // held: nobody may go on by s
//			continue
//		}
//		if current.Claim(s, &b.InFlight) {
//			defer b.InFlight.Release()
//			return serve(b)
//		}
//	}
//
// A request costs two atomic loads and two atomic adds, and no allocation.
package epoch

import "sync/atomic"

// Current is the value that requests go by. It is immutable: a change is another value. The zero Current has none; a
// Current must not be copied. Its methods are safe for concurrent use.
type Current[T any] struct {
	value   atomic.Pointer[T]
	changed atomic.Pointer[chan struct{}] // nil while nobody waits
}

// Load is the value of this moment; nil before the first Swap.
func (c *Current[T]) Load() *T { return c.value.Load() }

// Swap makes value the current one and returns the one before. When it has returned, no request that claims later goes
// on by the one before. A value that was current once must not come back as the same pointer: copy it.
func (c *Current[T]) Swap(value *T) (before *T) {
	before = c.value.Swap(value)
	if ch := c.changed.Swap(nil); ch != nil { // behind the value: who waits must find the new one
		close(*ch)
	}
	return before
}

// Claim counts one request in flight on n and reports whether s is still current, so that it may go on. If not, the
// count is taken back, and the request has to begin anew with Load. A claim that is granted ends with [Count.Release].
func (c *Current[T]) Claim(s *T, n *Count) bool {
	n.n.Add(1)
	if c.value.Load() == s {
		return true
	}
	n.Release()
	return false
}

// Changed is closed as soon as s is not current any more; at once, if it is not. It allocates, and is for requests that
// have to wait. It may be closed early: look again.
func (c *Current[T]) Changed(s *T) <-chan struct{} {
	ch := c.changed.Load()
	for ch == nil {
		fresh := make(chan struct{})
		if c.changed.CompareAndSwap(nil, &fresh) {
			ch = &fresh
		} else {
			ch = c.changed.Load()
		}
	}
	if c.value.Load() == s { // behind the channel: the swap that ends s closes it
		return *ch
	}
	over := make(chan struct{})
	close(over)
	return over
}
