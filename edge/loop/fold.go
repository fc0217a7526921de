package loop

import (
	"bytes"

	"semper/edge/front"
	"semper/edge/http1"
)

// A fold is what a loop keeps of a request that waits, when its Session keeps the rest: see front.Folder. Its flow carries others
// meanwhile.
type fold struct {
	ticket uint64
	bounds *front.Bounds
	came   *came // nil: there is no content
}

// came is how far the content has come.
type came struct {
	body     http1.Body
	whole    bool // that is all
	received int64
	kept     []byte // of it, as a target gets it
}

// wait has f's request wait until Wake.
func (f *flow) wait() {
	c := f.conn
	f.waiting, f.begun = true, 0
	if len(c.out) == 0 { // nothing is wanted of its client meanwhile, also where its content is to come
		c.timer.at = 0
	}
	if s, ok := c.session.(front.Folder); ok && s.Fold() {
		f.fold()
		return
	}
	if cap(f.kept) <= 2*smallBuffer { // there may be very many who wait
		f.kept = bytes.Clone(f.kept)
	}
}

// fold gives f back.
func (f *flow) fold() {
	w := &fold{ticket: f.x.Ticket, bounds: f.x.Bounds}
	if kept := f.kept[f.heading:]; len(kept) > 0 || !f.uploaded {
		w.came = &came{body: f.content_, whole: f.uploaded, received: f.x.Received, kept: bytes.Clone(kept)}
	}
	f.conn.fold, f.conn.flow = w, nil
	f.loop.give(f)
}

// Wake implements front.Waker.
func (c *conn) Wake(ticket uint64) {
	c.loop.post(func(*loop) {
		if w := c.fold; w != nil && w.ticket == ticket {
			c.inHand()
		}
		if f := c.flow; f != nil && f.waiting && f.x.Ticket == ticket {
			f.waiting = false
			f.stamp()
			action := c.session.Woken(&f.x)
			f.restore(action)
			f.act(action)
		}
	})
}

// inHand is the flow of the request in hand, which is unfolded if it waits; nil: there is none. The next call of the session
// for it is one of those that set Exchange.Request, and restore is due after it, unless that was End.
func (c *conn) inHand() *flow {
	w := c.fold
	if w == nil {
		return c.flow
	}
	f := c.loop.take()
	c.fold, c.flow = nil, f
	f.conn, f.waiting, f.came = c, true, w.came
	f.x.Waker, f.x.Ticket, f.x.Bounds = c, w.ticket, w.bounds
	if f.came != nil {
		f.x.Received = f.came.received
	}
	return f
}

// restore is for a flow that may have been folded: it makes it as it was, and, when it is to go on, its head.
func (f *flow) restore(action front.Action) {
	r, w := f.x.Request, f.came
	if r == nil {
		return
	}
	f.heed(r)
	f.kept, f.heading = f.kept[:0], 0
	if action == front.Forward {
		f.compose(r)
	}
	if w != nil {
		f.content_, f.uploaded, f.came = w.body, w.whole, nil
		f.kept = append(grown(f.kept, len(w.kept)), w.kept...)
	} else {
		f.take(nil) //nolint:errcheck // nothing is wrong with nothing
	}
	f.x.Request = nil
}
