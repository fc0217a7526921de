// Package race runs the attempts of a request side by side, as package hedge decides, and waits for all of them.
package race

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/hedge"
)

// A Lap is one attempt. It runs once.
type Lap struct {
	Trip   func() (*http.Response, error)
	Stop   func() // has Trip return soon; it may be called when that has returned
	Settle func() // gives back what the attempt holds; for one that is not the winner, once Trip has returned

	// What Trip brought: for whoever has the winner, and in Out, where Beaten is not set.
	Response *http.Response
	Err      error
	// Beaten: it was stopped because another one has won.
	Beaten bool

	state atomic.Uint32
	out   bool
}

// The states of a Lap.
const (
	runs     uint32 = iota
	returned        // and waits to be looked at
	beaten          // nobody will look at it: it settles itself
)

// Race is the attempts of one request. It belongs to the goroutine of its request.
type Race struct {
	// Second is asked for a further attempt when the first has not ended in time. nil is none: for good, or, with a time, to be asked
	// for again after it.
	Second func() (l *Lap, again time.Duration)
	// Wants reports whether an answer is one to take while another attempt is under way.
	Wants func(*http.Response) bool
	// Out is told of each attempt that is not the winner, before Run returns.
	Out func(*Lap)

	race hedge.Race
	laps []*Lap
	ends chan *Lap
	all  sync.WaitGroup
}

// Run runs first, and another beside it after delay if ok is set, and returns the one whose end is the request's. What else runs
// then is stopped; Wait waits for it.
func (r *Race) Run(first *Lap, delay time.Duration, ok bool) *Lap {
	r.ends = make(chan *Lap, 2)
	r.begin(first)
	late := time.NewTimer(delay)
	defer late.Stop()
	if !ok {
		late.Stop()
	}
	for {
		select {
		case <-late.C:
			switch l, again := r.Second(); {
			case l != nil:
				r.begin(l)
			case again > 0:
				late.Reset(again)
			}
		case l := <-r.ends:
			v := r.race.End(l.Err == nil && r.Wants(l.Response))
			if v != hedge.Wait {
				r.stop(l)
				return l
			}
			l.out = true
			r.Out(l)
			l.discard()
		}
	}
}

// Wait returns when nothing of the race runs any more.
func (r *Race) Wait() { r.all.Wait() }

func (r *Race) begin(l *Lap) {
	r.race.Begin()
	r.laps = append(r.laps, l)
	r.all.Go(func() {
		l.Response, l.Err = l.Trip()
		if l.state.CompareAndSwap(runs, returned) {
			r.ends <- l
			return
		}
		l.discard()
	})
}

// stop ends the laps but the winner.
func (r *Race) stop(winner *Lap) {
	for _, l := range r.laps {
		switch {
		case l == winner, l.out:
		case l.state.CompareAndSwap(runs, beaten):
			l.Beaten = true
			r.Out(l)
			l.Stop()
		default: // it has returned in this moment
			<-r.ends
			l.Beaten = true
			r.Out(l)
			l.discard()
		}
	}
}

// discard ends a lap that has returned and is of no use.
func (l *Lap) discard() {
	if l.Err == nil {
		l.Response.Body.Close() //nolint:errcheck // not wanted
	}
	l.Settle()
}
