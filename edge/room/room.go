// Package room bounds how many connections a listener has at once. Those who come beyond wait where they are, in the
// kernel's queue: nobody is told anything, and they get in as soon as somebody leaves.
//
// A place is taken before a connection is accepted and given back when it has ended, by whoever carries it then. So a Room
// counts over all that accept from one listener, and over a connection's way from one of them to another.
package room

import (
	"context"
	"math"
	"sync/atomic"
)

// A Room has places. It is safe for concurrent use. A nil Room is without end.
type Room struct {
	most  int64
	taken atomic.Int64
	freed chan struct{} // buffered, 1: there may be a place
	whole *Room         // that this is a part of; nil: it stands alone
}

// New is a room of so many places; nil for 0.
func New(places int) *Room {
	if places <= 0 {
		return nil
	}
	return &Room{most: int64(places), freed: make(chan struct{}, 1)}
}

// Part is a room within r: who is there is in r too. It has so many places, or, for 0, those of r.
func (r *Room) Part(places int) *Room {
	if r == nil {
		return New(places)
	}
	if places <= 0 {
		places = math.MaxInt
	}
	p := New(places)
	p.whole = r
	return p
}

// Take takes a place, if there is one.
func (r *Room) Take() bool { return r.take() == nil }

// take takes a place, or returns the room that is full.
func (r *Room) take() (full *Room) {
	if r == nil {
		return nil
	}
	for {
		n := r.taken.Load()
		if n >= r.most {
			return r
		}
		if r.taken.CompareAndSwap(n, n+1) {
			break
		}
	}
	if full = r.whole.take(); full != nil { // then the place here was wanted for nothing, and somebody may have missed it
		r.taken.Add(-1)
		r.tell()
	}
	return full
}

// Leave gives a place back.
func (r *Room) Leave() {
	if r == nil {
		return
	}
	r.taken.Add(-1)
	r.tell()
	r.whole.Leave()
}

// tell says that there may be a place.
func (r *Room) tell() {
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// Wait takes a place as soon as there is one. The error is ctx's.
func (r *Room) Wait(ctx context.Context) error {
	defer r.pass()
	var before *Room
	for {
		full := r.take()
		if full == nil {
			return nil
		}
		if before != nil && before != full { // it was told of a place there, and cannot use it
			before.pass()
		}
		before = full
		select {
		case <-full.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pass tells whoever else waits that there may be a place: who was told of it may have needed none, or not all there are.
func (r *Room) pass() {
	for ; r != nil; r = r.whole {
		if r.taken.Load() < r.most {
			r.tell()
		}
	}
}
