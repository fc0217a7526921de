package mirror

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/textproto"
	"slices"
	"sync/atomic"
	"time"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/replay"
	"semper/verify/diff"
)

// A Copy is one request that is copied. The nil Copy is of a request that is not, and all methods of it do nothing.
type Copy struct {
	m        *Mirror
	ctx      context.Context // of copies made by goroutines; ends when nobody will compare
	cancel   context.CancelFunc
	flights  [2]flight // of the others
	endpoint string
	asked    string        // the path
	aside    front.Runner  // of who carries the request; nil: copies are made by goroutines
	method   http1.Method  // of head
	head     []byte        // as an instance gets it; or
	request  *http.Request // the same
	content  *replay.Body  // of request
	body     []byte        // of content, once it is there

	began    time.Time // when copies were sent
	sent     bool
	ended    bool
	again    bool // a second copy of the current release was sent
	reserved atomic.Int64
	left     atomic.Int32     // parts that are not there yet
	spoilt   atomic.Uint32    // the reason why nobody will compare; none
	parts    [3]answer        // the client's, the candidate's, the second copy's
	took     [2]time.Duration // of copies
}

// The parts.
const (
	client = iota
	candidate
	second
)

// An answer is what is kept of a response.
type answer struct {
	diff.Response
	over bool // Body is too large and not whole
}

// spoil says why nobody will compare, once, and ends what is under way for it. It counts.
func (c *Copy) spoil(r reason) {
	if c.spoilt.CompareAndSwap(uint32(none), uint32(r)) {
		c.m.tally.by[r].Add(1)
		if c.cancel != nil {
			c.cancel()
		}
		for i := range c.flights {
			c.flights[i].cancel()
		}
	}
}

func (c *Copy) reserve(n int) bool {
	if !c.m.reserve(int64(n)) {
		return false
	}
	c.reserved.Add(int64(n))
	return true
}

// free gives back what was reserved.
func (c *Copy) free() { c.m.kept.Add(-c.reserved.Swap(0)) }

// Send sends the copies, now that an instance has been found for the request itself. Those of a request with content are sent when that
// is all there: when its answer begins. Later calls do nothing.
func (c *Copy) Send() {
	if c != nil && !c.sent && c.content == nil {
		c.send()
	}
}

func (c *Copy) send() {
	m := c.m
	c.sent = true
	n := 1
	if c.again = rand.Float64() < m.o.Again; c.again {
		n = 2
	}
	switch {
	case !m.enter(int64(n)):
		c.spoil(busy)
		return
	case !c.reserve(overhead + len(c.head) + len(c.body)):
		m.flying.Add(int64(-n))
		c.spoil(bytes)
		return
	case !m.edge.enter(n):
		m.flying.Add(int64(-n))
		c.free()
		c.spoil(nobody)
		return
	}
	order := []int{candidate, second}[:n]
	if n == 2 && rand.Uint32()&1 == 0 {
		slices.Reverse(order)
	}
	to := m.to.Load()
	for _, part := range order { // before anything can go wrong with one of them
		if c.aside == nil || !c.flights[part-1].claim(c, part, to[part-1]) {
			c.ctx, c.cancel = context.WithTimeout(m.edge.ctx, m.o.Timeout.D()) //nolint:gosec // done and spoil call it
			break
		}
	}
	c.began = time.Now()
	c.left.Store(int32(1 + n))
	for _, part := range order {
		if f := &c.flights[part-1]; f.c != nil {
			f.start()
		} else {
			go c.trip(part, to[part-1]) // waited for by Mirrors.Close
		}
	}
}

// trip sends one of the copies and keeps its answer.
func (c *Copy) trip(part int, to Sender) {
	r, err := c.outgoing()
	if err != nil {
		c.spoil(unread)
		c.landed(part, err, true)
		return
	}
	resp, done, err := to.Trip(r)
	if err == nil {
		err = c.keep(&c.parts[part], resp)
	}
	void := done != nil && done(err)
	c.landed(part, err, void || errors.Is(context.Cause(c.ctx), context.Canceled))
}

// landed is the end of one of the copies. void says that err says nothing of the instance.
func (c *Copy) landed(part int, err error, void bool) {
	c.took[part-1] = time.Since(c.began)
	switch {
	case err == nil:
		c.m.latency[part-1].Add(c.took[part-1])
	case void, errors.Is(err, ErrNobody):
		c.spoil(nobody) // or it is spoilt already
	default: // no answer, or no whole one: that is one too
		c.parts[part].Response = diff.NewResponse(0, nil, nil)
	}
	c.m.flying.Add(-1)
	c.done()
	c.m.edge.copies.Done()
}

// keep reads an answer, as much as may be kept of it.
func (c *Copy) keep(a *answer, resp *http.Response) error {
	defer resp.Body.Close() //nolint:errcheck // read to its end, or not wanted any more
	a.Status, a.Header = resp.StatusCode, make(http.Header, len(c.m.fields))
	a.fields(c.m, resp.Header)
	var buf [16 << 10]byte
	for {
		n, err := resp.Body.Read(buf[:])
		if a.take(c, buf[:n]); a.over {
			return nil
		}
		if errors.Is(err, io.EOF) {
			a.fields(c.m, resp.Trailer)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fields keeps those of an answer's header, or of its trailer, that are compared.
func (a *answer) fields(m *Mirror, h http.Header) {
	for _, name := range m.fields {
		if v := h[name]; v != nil {
			a.Header[name] = v
		}
	}
}

// take keeps a piece of content. Of what is too large it keeps nothing but how much there was so far.
func (a *answer) take(c *Copy, piece []byte) {
	if a.over || len(piece) == 0 {
		return
	}
	a.Length += int64(len(piece))
	switch {
	case a.Length > c.m.o.Body:
		a.over, a.Body = true, nil
	case c.reserve(len(piece)):
		a.Body = append(a.Body, piece...)
	default:
		a.over, a.Body = true, nil
		c.spoil(bytes)
	}
}

// Head says how the client's answer begins. What it returns wants the answer's content; nil where nobody does.
func (c *Copy) Head(r *http1.Response) io.Writer {
	if !c.headed(r.Status, r.EventStream()) {
		return nil
	}
	c.parts[client].wire(c.m, r)
	return c
}

// wire keeps the fields that are compared.
func (a *answer) wire(m *Mirror, r *http1.Response) {
	a.Header = make(http.Header, len(m.fields))
	for i := range r.Fields() {
		_, name, value := r.Field(i)
		if k := m.wants(name); k != "" {
			a.Header[k] = append(a.Header[k], string(value))
		}
	}
}

// wants is the name of a field that is kept; empty for any other.
func (m *Mirror) wants(name []byte) string {
	for _, k := range m.fields {
		if len(k) == len(name) && textproto.CanonicalMIMEHeaderKey(string(name)) == k {
			return k
		}
	}
	return ""
}

// HeadHTTP is Head for an answer as net/http has it.
func (c *Copy) HeadHTTP(status int, h http.Header, stream bool) {
	if c != nil && c.content != nil && !c.sent {
		c.sendContent()
	}
	if c.headed(status, stream) {
		c.parts[client].Header = make(http.Header, len(c.m.fields))
		c.parts[client].fields(c.m, h)
	}
}

// TrailerHTTP says what came behind the content of the client's answer.
func (c *Copy) TrailerHTTP(h http.Header) {
	if c != nil && len(h) > 0 && c.parts[client].Header != nil {
		c.parts[client].fields(c.m, h)
	}
}

// sendContent sends the copies of a request whose content is all there.
func (c *Copy) sendContent() {
	var whole bool
	if c.body, whole = c.content.Whole(); !whole || int64(len(c.body)) > c.m.o.Body {
		c.sent, c.body = true, nil
		c.spoil(content)
		return
	}
	c.send()
}

func (c *Copy) headed(status int, endless bool) bool {
	if c == nil || !c.sent || c.spoilt.Load() != 0 {
		return false
	}
	if endless {
		c.spoil(stream)
		return false
	}
	c.parts[client].Status = status
	return true
}

// Write takes content of the client's answer. It never fails.
func (c *Copy) Write(piece []byte) (int, error) {
	if c == nil || c.spoilt.Load() != 0 || c.parts[client].Header == nil {
		return len(piece), nil
	}
	a := &c.parts[client]
	if a.take(c, piece); a.over {
		c.spoil(large)
	}
	return len(piece), nil
}

// End says that the request is over, and whether its client got the whole answer of an instance. Later calls do nothing.
func (c *Copy) End(whole bool) {
	if c == nil || c.ended {
		return
	}
	c.ended = true
	if !whole || !c.sent || c.parts[client].Header == nil {
		c.spoil(noClient)
	}
	if c.left.Load() > 0 {
		c.done()
	}
}

// done says that a part is there.
func (c *Copy) done() {
	if c.left.Add(-1) > 0 {
		return
	}
	if c.cancel != nil {
		c.cancel()
	}
	if c.spoilt.Load() == 0 {
		select {
		case c.m.edge.queue <- c:
			return
		default:
			c.spoil(behind)
		}
	}
	c.free()
}
