package mirror

import (
	stdbytes "bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"sync/atomic"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/trace"
)

// A flight is one copy that a driver makes, as a subrequest. It implements front.Receiver.
type flight struct {
	c       *Copy
	part    int
	request front.Subrequest
	done    func(error) (void bool)
	fault   error // why there is no instance

	running atomic.Pointer[front.Running]
	over    atomic.Bool // canceled, or ended
}

// claim finds an instance for the copy part of c. It is false where a goroutine has to send it.
func (f *flight) claim(c *Copy, part int, to Sender) bool {
	target, done, err := to.Claim(f.cancel)
	if errors.Is(err, ErrForeign) {
		return false
	}
	f.c, f.part, f.done, f.fault = c, part, done, err
	f.request = front.Subrequest{Target: target, Method: c.method, Head: c.spanned(), Within: c.m.o.Timeout.D(), To: f}
	return true
}

// start sends it.
func (f *flight) start() {
	if f.fault != nil {
		f.over.Store(true)
		f.c.landed(f.part, f.fault, true)
		return
	}
	r := f.c.aside.Run(&f.request)
	f.running.Store(&r)
	if f.over.Load() { // before it was running
		r.Cancel()
	}
}

// cancel ends the copy. Any goroutine may call it, at any time.
func (f *flight) cancel() {
	if f.over.Swap(true) {
		return
	}
	if r := f.running.Load(); r != nil {
		(*r).Cancel()
	}
}

// Head implements front.Receiver.
func (f *flight) Head(r *http1.Response) {
	a := &f.c.parts[f.part]
	a.Status = r.Status
	a.wire(f.c.m, r)
}

// Content implements front.Receiver.
func (f *flight) Content(piece []byte) bool {
	a := &f.c.parts[f.part]
	a.take(f.c, piece)
	return !a.over
}

// End implements front.Receiver.
func (f *flight) End(err error) {
	cut := f.over.Swap(true)
	void := f.done(err)
	f.c.landed(f.part, err, void || cut && err != nil)
}

// spanned is the head with a span of its own, where it is part of a trace.
func (c *Copy) spanned() []byte {
	head := stdbytes.Clone(c.head)
	for at := 0; at < len(head); {
		n := stdbytes.IndexByte(head[at:], '\n') + 1
		if n == 0 {
			break
		}
		line := head[at : at+n]
		at += n
		name, value, ok := stdbytes.Cut(line, []byte(":"))
		if !ok || !stdbytes.EqualFold(name, traceParent) {
			continue
		}
		if _, ok := trace.Parse(stdbytes.TrimSpace(value)); ok { // version, trace, parent, flags, each behind a hyphen
			value = stdbytes.TrimLeft(value, " \t")
			hex.AppendEncode(value[len("00-")+32+len("-"):][:0], binary.BigEndian.AppendUint64(nil, rand.Uint64()|1))
		}
	}
	return head
}

var traceParent = []byte("traceparent")
