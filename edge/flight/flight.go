// Package flight counts what is in flight to one backend by class.
//
// How much there is in all is the balance's to count, by package epoch's protocol: it is what a request claims and a drain waits
// for. Classes are counted beside it, and only those that an ordinary request with a safe method is not of, so that such a
// request costs nothing here. What is of no class counted here is a request.
//
// A class is counted before the claim that it is of, and a change of class counts in both for a moment. So whoever has seen a claim
// sees its class, and the classes together are never less than there is.
package flight

import (
	"sync/atomic"

	"semper"
)

// Class is a [semper.Class] as an index.
type Class int

// The classes. Classes is how many there are.
const (
	Request Class = iota
	Write
	Stream
	WebSocket
	Classes
)

// Name of the class.
func (c Class) Name() semper.Class {
	return [Classes]semper.Class{semper.ClassRequest, semper.ClassWrite, semper.ClassStream, semper.ClassWebSocket}[c]
}

// Of is the class of a request as far as its head tells.
func Of(unsafe bool) Class {
	if unsafe {
		return Write
	}
	return Request
}

// Count is what is in flight to one backend, of all classes but Request. The zero Count is ready to use and must not be copied.
// Its methods are safe for concurrent use.
type Count struct{ of [Classes]atomic.Int64 }

// Turn makes what is in flight of class from one of class to. What begins turns from Request, and what ends turns to it.
func (n *Count) Turn(from, to Class) {
	if to != Request {
		n.of[to].Add(1)
	}
	if from != Request {
		n.of[from].Add(-1)
	}
}

// Load is how much of class c is in flight, of all that there is.
func (n *Count) Load(c Class, all int64) int64 {
	if c != Request {
		return n.of[c].Load()
	}
	for l := Request + 1; l < Classes; l++ {
		all -= n.of[l].Load()
	}
	return max(all, 0)
}
