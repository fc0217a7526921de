package supervise

import (
	"iter"
	"math"
	"strconv"
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
type phase uint8

const (
	idle phase = iota // no incarnation, nothing planned
	starting
	running
	waiting // between incarnations, an attempt planned
	stopping
	phases // how many there are
)

// why a start is under way; it decides what its failure means.
type why uint8

const (
	forBoot    why = iota // the supervisor's own start: failing ends the supervisor
	forStart              // StartChild: failing forgets the spec
	forAgain              // RestartChild: failing keeps the spec
	forRestart            // after an end: failing is counted and tried again
)

// A kid is the core's record of one child. Only the core writes it. There may be a million of them: what few need, or
// only for a moment, is behind a pointer.
type kid struct {
	id       string
	start    StartFunc // nil while a Temporary runs: it is never started again, and its closure may be large
	backoff  *Backoff  // nil: none
	shutdown time.Duration

	prev, next *kid // in start order
	seq        int  // grows in start order

	child Child     // the last incarnation; compared, never called by the core
	run   *Starting // opaque to the core
	n     int       // number of the start; results and ends of another number are stale

	since   moment // when phase began
	started moment // when the incarnation acknowledged
	due     moment // of waiting: the attempt; of stopping: the kill; zero: none
	slot    int    // its index in the timers, when due is set

	starter *call // waits for the start under way
	pending *pending
	past    *past

	phase       phase
	why         why
	restart     RestartType
	supervisor  bool
	significant bool
	listed      bool // in the start order; false when forgotten
	doomed      bool // to be stopped as soon as the start under way answers
	killed      bool // has been told so
}

// pending is what waits for a kid.
type pending struct {
	ended    *Reason // its end, which an ordered strategy has not got round to yet
	stoppers []*call // until it is gone
	queue    []*call // until it is neither starting nor stopping
}

// past is what has become of the incarnations so far.
type past struct {
	tries    int // restarts since it was last healthy: the exponent of the back-off
	restarts int
	ends     int
	last     Reason
	err      error
	gaveUp   int // the generation of the window in which it was given up
}

// adopt takes over a spec, with its defaults filled in.
func (k *kid) adopt(s ChildSpec) {
	k.id, k.start, k.restart, k.shutdown = s.ID, s.Start, s.Restart, s.Shutdown
	k.supervisor, k.significant, k.backoff = s.Supervisor, s.Significant, nil
	if s.Shutdown == 0 {
		k.shutdown = DefaultShutdown
		if s.Supervisor {
			k.shutdown = Infinity
		}
	}
	if s.Backoff != (Backoff{}) {
		k.backoff = &s.Backoff
	}
}

// name is what people call it: a Dynamic's child without a label by its number.
func (k *kid) name() string {
	if k.id == "" {
		return "#" + strconv.Itoa(k.seq)
	}
	return k.id
}

// restartsAfter applies the restart type.
func (k *kid) restartsAfter(r Reason) bool {
	return k.restart == Permanent || k.restart == Transient && r.Abnormal()
}

// gone reports whether it does not run and will not, unless somebody starts it: one that is being terminated counts as
// gone, because OTP would not look before it is.
func (k *kid) gone() bool {
	return k.phase == idle || k.phase == stopping || k.phase == starting && k.doomed
}

// lives reports whether the start of this number has come to a child of whose end nothing is known.
func (k *kid) lives(n int) bool {
	return k.n == n && (k.phase == running && k.ended() == nil || k.phase == stopping)
}

// record is the past to write to.
func (k *kid) record() *past {
	if k.past == nil {
		k.past = new(past)
	}
	return k.past
}

// known is the past to read from.
func (k *kid) known() past {
	if k.past == nil {
		return past{}
	}
	return *k.past
}

// forgive makes its back-off begin anew.
func (k *kid) forgive() {
	if k.past != nil {
		k.past.tries = 0
	}
}

func (k *kid) waits() *pending {
	if k.pending == nil {
		k.pending = new(pending)
	}
	return k.pending
}

// tidy gives back what nothing waits in.
func (k *kid) tidy() {
	if p := k.pending; p.ended == nil && len(p.stoppers) == 0 && len(p.queue) == 0 {
		k.pending = nil
	}
}

func (k *kid) ended() *Reason {
	if k.pending == nil {
		return nil
	}
	return k.pending.ended
}

func (k *kid) stoppers() []*call {
	if k.pending == nil {
		return nil
	}
	return k.pending.stoppers
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
		if k.due == 0 {
			return StateRestarting
		}
		return StateBackoff
	case stopping:
		return StateStopping
	}
	return StateUndefined
}

// A moment is a time as nanoseconds since the core began: a third of the size of a time.Time.
type moment int64

// after is m and d later, or the end of time.
func (m moment) after(d time.Duration) moment {
	if d > math.MaxInt64-time.Duration(m) {
		return math.MaxInt64
	}
	return m + moment(d)
}

// family is the kids in start order.
type family struct {
	first, last *kid
	size        int
	supervisors int
	in          [phases]int // how many are in each phase
}

func (f *family) push(k *kid) {
	k.prev, k.next, k.listed = f.last, nil, true
	if f.last != nil {
		f.last.next = k
	} else {
		f.first = k
	}
	f.last = k
	f.size++
	f.in[k.phase]++
	if k.supervisor {
		f.supervisors++
	}
}

func (f *family) drop(k *kid) {
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		f.first = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	} else {
		f.last = k.prev
	}
	k.prev, k.next, k.listed = nil, nil, false
	f.size--
	f.in[k.phase]--
	if k.supervisor {
		f.supervisors--
	}
}

// enter keeps the count of a kid that is listed.
func (f *family) enter(k *kid, p phase) {
	if k.listed {
		f.in[k.phase]--
		f.in[p]++
	}
	k.phase = p
}

// moving counts the kids whose start or stop is under way.
func (f *family) moving() int { return f.in[starting] + f.in[stopping] }

func (f *family) count() Counts {
	return Counts{
		Specs: f.size, Active: f.in[running] + f.in[stopping],
		Supervisors: f.supervisors, Workers: f.size - f.supervisors,
	}
}

// forward lists the kids from first to last. The one at hand may be dropped meanwhile.
func (f *family) forward() iter.Seq[*kid] {
	return func(yield func(*kid) bool) {
		for k := f.first; k != nil; {
			next := k.next
			if !yield(k) {
				return
			}
			k = next
		}
	}
}

func (f *family) backward() iter.Seq[*kid] {
	return func(yield func(*kid) bool) {
		for k := f.last; k != nil; {
			prev := k.prev
			if !yield(k) {
				return
			}
			k = prev
		}
	}
}
