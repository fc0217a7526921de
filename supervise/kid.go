package supervise

import (
	"container/list"
	"time"
)

// phase is what a kid is doing:
//
//	        begin            acknowledged            halt
//	idle ────────▶ starting ─────────────▶ running ────────▶ stopping
//	 ▲  ▲             │ failed restart        │ ended            │ gone
//	 │  └─────────────┤                       │                  │
//	 │ first start    ▼        back-off       │                  │
//	 │ failed      waiting ◀──────────────────┤                  │
//	 │                │ retry: starting       │ not restarted    │
//	 └────────────────┴───────────────────────┴──────────────────┘
type phase int

const (
	idle phase = iota // no incarnation, nothing planned
	starting
	running
	waiting // between incarnations, an attempt planned
	stopping
)

// why a start is under way; it decides what its failure means.
type why int

const (
	forBoot    why = iota // the supervisor's own start: failing ends the supervisor
	forStart              // StartChild: failing forgets the spec
	forAgain              // RestartChild: failing keeps the spec
	forRestart            // after an end: failing is counted and tried again
)

// A kid is the core's record of one child. Only the core writes it, except run, which belongs to the loop.
type kid struct {
	seq   int // grows in start order
	spec  ChildSpec
	at    *list.Element // its place in the start order; nil when forgotten
	phase phase
	since time.Time // when phase began
	n     int       // number of the start; results and ends of another number are stale
	why   why
	run   *incarnation // opaque to the core

	doomed  bool      // to be stopped as soon as the start under way answers
	ended   *Reason   // it ended, which an ordered strategy has not got round to yet
	started time.Time // when the incarnation acknowledged
	due     time.Time // of waiting: the attempt; of stopping: the kill; zero: none
	slot    int       // its index in the timers, when due is set

	tries    int // restarts since it was last healthy: the exponent of the back-off
	restarts int
	ends     int
	last     Reason
	err      error
	gaveUp   int // the generation of the window in which it was given up

	starter  *call   // waits for the start under way
	stoppers []*call // wait for it to be gone
	queue    []input // calls that wait until it is neither starting nor stopping
}

// restartsAfter applies the restart type.
func (k *kid) restartsAfter(r Reason) bool {
	return k.spec.Restart == Permanent || k.spec.Restart == Transient && r.Abnormal()
}

func (k *kid) state() State {
	switch k.phase {
	case starting:
		if k.why == forRestart {
			return StateRestarting
		}
		return StateStarting
	case running:
		return StateRunning
	case waiting:
		if k.due.IsZero() {
			return StateRestarting
		}
		return StateBackoff
	case stopping:
		return StateStopping
	}
	return StateUndefined
}

// timers is a heap of the kids that wait for a moment, the next one first; equal moments in start order.
type timers []*kid

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	if t[i].due.Equal(t[j].due) {
		return t[i].seq < t[j].seq
	}
	return t[i].due.Before(t[j].due)
}
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i]; t[i].slot, t[j].slot = i, j }
func (t *timers) Push(x any)   { k := x.(*kid); k.slot = len(*t); *t = append(*t, k) }
func (t *timers) Pop() any {
	last := len(*t) - 1
	k := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	return k
}
