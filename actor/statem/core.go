package statem

import (
	"slices"
	"time"
)

// The core decides which event comes next. It knows no clock, no goroutine and no callback: what a turn asked for goes
// in, the order of events and what is to be done with the clocks comes out.

// event is one thing for a machine to handle.
type event[M any] struct {
	kind Kind
	name any // of a NamedTimeout
	m    M
	info any // of an Info
}

// timeout is one that runs, or is due: then it waits for the queue to be empty.
type timeout[M any] struct {
	m      M
	serial uint64 // tells it from an earlier one in its slot, whose clock may have struck already
	due    bool
}

// decision is what the callbacks of one turn asked for.
type decision[S comparable, M any] struct {
	next     S
	moved    bool // next is meant
	repeat   bool
	postpone bool
	events   []M // next events
	timeouts []request[M]
	last     map[slot]int // of timeouts: the last request for each; made when there are many
}

// request is one thing asked of a timeout.
type request[M any] struct {
	at   slot
	verb verb
	in   time.Duration // of set; zero or less: as soon as the queue is empty
	m    M
}

type verb uint8

const (
	set verb = iota
	update
	cancel
)

// order is what is to be done with a clock: start one that says serial when in has passed, or stop the one of the slot.
type order struct {
	at     slot
	serial uint64
	in     time.Duration // zero: stop
}

// core is what a machine has to handle: in the order of handling, the queue, the timeouts that are due, and then
// whatever is received next.
type core[S comparable, M any] struct {
	state     S
	queue     []event[M] // a stack: the last is handled first, so that to insert costs what is inserted
	postponed []event[M] // oldest first
	timeouts  slots[timeout[M]]
	due       []slot // in the order they were asked for
	serial    uint64
	orders    []order // since they were last taken
}

// restCap is for how many events a core at rest keeps memory.
const restCap = 16

// leave ends a turn with an event: it is postponed or done with, and the state changes or not. It reports whether the
// state is entered.
func (c *core[S, M]) leave(e *event[M], d *decision[S, M]) (enter bool) {
	if d.postpone {
		c.postponed = append(c.postponed, *e)
	}
	changed := d.moved && d.next != c.state
	if changed {
		c.state = d.next
		c.retry()
		c.stop(&stateSlot)
	}
	c.stop(&eventSlot)
	return changed || d.repeat
}

// retry puts what was postponed in front of the queue.
func (c *core[S, M]) retry() {
	for _, e := range slices.Backward(c.postponed) {
		c.queue = append(c.queue, e)
	}
	clear(c.postponed)
	c.postponed = c.postponed[:0]
	if cap(c.postponed) > restCap {
		c.postponed = nil
	}
}

// settle does the rest of what the turn asked for, and makes the decision ready for the next.
func (c *core[S, M]) settle(d *decision[S, M]) {
	for i := range d.timeouts {
		if len(d.timeouts) == 1 || !d.overruled(i) {
			c.time(&d.timeouts[i])
		}
	}
	for i := len(d.events) - 1; i >= 0; i-- {
		c.queue = append(c.queue, event[M]{kind: Internal, m: d.events[i]})
	}
	d.clear()
}

// overruled reports whether a later request is for the same timeout: then the earlier has no effect, not even on what
// the later finds, as in OTP.
func (d *decision[S, M]) overruled(i int) bool {
	at := d.timeouts[i].at
	if len(d.timeouts) <= fewRequests {
		return slices.ContainsFunc(d.timeouts[i+1:], func(r request[M]) bool { return r.at == at })
	}
	if d.last == nil {
		d.last = make(map[slot]int, len(d.timeouts))
		for j := range d.timeouts {
			d.last[d.timeouts[j].at] = j
		}
	}
	return d.last[at] != i
}

// fewRequests are looked through one by one.
const fewRequests = 8

func (d *decision[S, M]) clear() {
	clear(d.timeouts)
	clear(d.events)
	d.last = nil
	var none S
	d.next, d.moved, d.repeat, d.postpone, d.events, d.timeouts = none, false, false, false, d.events[:0], d.timeouts[:0]
}

func (c *core[S, M]) time(r *request[M]) {
	if r.verb == update {
		if t := c.timeouts.get(&r.at); t != nil {
			t.m = r.m
			return
		}
	}
	c.stop(&r.at)
	if r.verb == cancel {
		return
	}
	c.serial++
	t := c.timeouts.use(&r.at)
	t.m, t.serial, t.due = r.m, c.serial, r.verb == update || r.in <= 0
	if t.due {
		c.due = append(c.due, r.at)
		return
	}
	c.orders = append(c.orders, order{at: r.at, serial: t.serial, in: r.in})
}

// stop ends the timeout of a slot, if there is one.
func (c *core[S, M]) stop(at *slot) {
	t := c.timeouts.get(at)
	if t == nil {
		return
	}
	due := t.due
	c.timeouts.free(at)
	if due {
		c.undue(at)
		return
	}
	c.orders = append(c.orders, order{at: *at})
}

//go:noinline
func (c *core[S, M]) undue(at *slot) {
	i := slices.Index(c.due, *at)
	c.due = slices.Delete(c.due, i, i+1)
}

// rests reports whether there is nothing to handle before something is received.
func (c *core[S, M]) rests() bool { return len(c.queue) == 0 && len(c.due) == 0 }

// next takes what is handled next, until the core rests.
func (c *core[S, M]) next() (event[M], bool) {
	if n := len(c.queue) - 1; n >= 0 {
		e := c.queue[n]
		c.queue[n] = event[M]{}
		c.queue = c.queue[:n]
		if n == 0 && cap(c.queue) > restCap {
			c.queue = nil
		}
		return e, true
	}
	if len(c.due) == 0 {
		return event[M]{}, false
	}
	at := c.due[0]
	c.undue(&at)
	return c.bring(&at), true
}

// bring makes the event of a timeout whose time has come.
func (c *core[S, M]) bring(at *slot) event[M] {
	e := event[M]{kind: at.kind, name: at.name, m: c.timeouts.get(at).m}
	c.timeouts.free(at)
	return e
}

// struck is the event of a clock that struck; false when its timeout was cancelled or asked for anew meanwhile.
func (c *core[S, M]) struck(at slot, serial uint64) (event[M], bool) {
	if t := c.timeouts.get(&at); t == nil || t.serial != serial {
		return event[M]{}, false
	}
	return c.bring(&at), true
}

// ordered takes the orders for the clocks. They are valid until the next turn.
func (c *core[S, M]) ordered() []order {
	o := c.orders
	c.orders = c.orders[:0]
	return o
}
