// Package room bounds how many connections a listener has at once. Those who come beyond wait where they are, in the
// kernel's queue: nobody is told anything, and they get in as soon as somebody leaves.
//
// A place is taken before a connection is accepted and given back when it has ended, by whoever carries it then. So a Room
// counts over all that accept from one listener, and over a connection's way from one of them to another.
package room

import (
	"context"
	"sync/atomic"
)

// A Room has places. It is safe for concurrent use. A nil Room is without end.
type Room struct {
	most  int64
	taken atomic.Int64
	freed chan struct{} // buffered, 1: there may be a place
}

// New is a room of so many places; nil for 0.
func New(places int) *Room {
	if places <= 0 {
		return nil
	}
	return &Room{most: int64(places), freed: make(chan struct{}, 1)}
}

// Take takes a place, if there is one.
func (r *Room) Take() bool {
	if r == nil {
		return true
	}
	if r.taken.Add(1) > r.most {
		r.taken.Add(-1)
		return false
	}
	return true
}

// Leave gives a place back.
func (r *Room) Leave() {
	if r == nil {
		return
	}
	r.taken.Add(-1)
	select {
	case r.freed <- struct{}{}:
	default:
	}
}

// Wait takes a place as soon as there is one. The error is ctx's.
func (r *Room) Wait(ctx context.Context) error {
	for !r.Take() {
		select {
		case <-r.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if r != nil && r.taken.Load() < r.most { // whoever else waits may have been passed over
		select {
		case r.freed <- struct{}{}:
		default:
		}
	}
	return nil
}
