package loop

import (
	"bytes"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/front"
	"semper/edge/http1"
)

// lingerFor is what a client gets to read its last answer: a socket closed over unread bytes is reset, and a reset can
// overtake the answer.
const lingerFor = 2 * time.Second

// lingerBytes is how much of what a lingering client still sends is read.
const lingerBytes = 256 << 10

// A conn is a client's connection. While it is idle this is all there is of it.
type conn struct {
	endpoint
	loop    *loop
	terms   *terms
	session front.Session
	flow    *flow // the request on its way; nil between requests, or while it is
	fold    *fold // for it waits; nil: it is not

	in   []byte         // read and not used yet: part of a head, or what came behind a request
	head *http1.Request // of the part in in, so that no byte is looked at twice
	out  []byte         // answered and not taken yet

	closing   bool // closes when out is empty
	lingering int  // bytes it may still send; 0 when it does not linger
	dead      bool
}

func (c *conn) event(events uint32) {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 && events&unix.EPOLLIN == 0 || events&unix.EPOLLERR != 0 {
		c.drop(front.ClientGone) // reset: nobody is there to read an answer
		return
	}
	if len(c.out) > 0 && c.writable && !c.flush() {
		return
	}
	c.run()
}

// run does what can be done.
func (c *conn) run() {
	for !c.dead {
		switch {
		case c.lingering > 0:
			c.linger()
			return
		case c.closing:
			return
		case c.fold != nil:
			if c.ended { // half closed: who only waits, and for nobody, has no claim to a place
				c.drop(front.ClientGone)
			}
			return
		case c.flow != nil:
			if c.flow.waiting && c.ended { // the same
				c.drop(front.ClientGone)
				return
			}
			c.flow.upload()
			return
		case len(c.in) > 0 && c.head == nil:
			c.parse(c.in, true) // what came behind the request before
		case !c.readable:
			return
		default:
			c.read()
		}
	}
}

// read reads a head, or more of one.
func (c *conn) read() {
	n, errno := recv(c.fd, c.loop.rbuf)
	switch {
	case errno == unix.EAGAIN:
		c.readable = false
		return
	case errno != 0 || n == 0:
		c.close()
		return
	}
	if n < len(c.loop.rbuf) && !c.ended {
		c.readable = false
	}
	if len(c.in) == 0 {
		c.parse(c.loop.rbuf[:n], false)
		return
	}
	c.in = append(c.in, c.loop.rbuf[:n]...)
	c.parse(c.in, true)
}

// preface is how a client begins that speaks HTTP/2 (RFC 9113, 3.4), as far as it could be a request.
var preface = []byte("PRI * HTTP/2.0\r\n")

// parse looks for a head in buf, which is c.in when kept says so.
func (c *conn) parse(buf []byte, kept bool) {
	r := c.head
	if r == nil {
		r = &c.loop.req
		r.Reset()
	}
	n, err := r.Parse(buf, c.terms.limits)
	switch {
	case err != nil && c.terms.h2c && bytes.HasPrefix(buf, preface):
		c.pass(buf, nil)
	case err != nil:
		c.refuse(err.(*http1.Error).Refusal()) //nolint:errcheck,errorlint // as Parse promises
	case n == 0:
		c.keepHead(buf, kept)
	default:
		c.begin(r, buf, n)
	}
}

// keepHead waits for the rest of a head.
func (c *conn) keepHead(buf []byte, kept bool) {
	if c.head == nil {
		c.head = new(http1.Request)
		c.head.Parse(buf, c.terms.limits) //nolint:errcheck // as before: it wants more
		c.loop.wheel.arm(&c.timer, c.loop.now+c.terms.head)
	}
	if !kept {
		c.in = append(c.in[:0], buf...)
	}
}

// begin has a head of n bytes at the beginning of buf.
func (c *conn) begin(r *http1.Request, buf []byte, n int) {
	l := c.loop
	f := l.take()
	f.conn, f.x.Request, f.x.Waker = c, r, c
	f.stamp()
	l.words = front.Words{}
	switch action := c.session.Begin(&f.x); action {
	case front.Forward, front.Wait:
		c.flow = f
		f.begin(r, buf[n:], action)
	case front.Refuse:
		c.flow = f
		f.keepAlive, f.noContent = r.KeepAlive, r.Method == http1.HEAD
		f.uploaded = r.Framing.Kind == http1.NoBody || r.Framing == http1.Framing{Kind: http1.Length}
		c.leave(buf[n:])
		f.refuse()
	default:
		l.give(f)
		c.pass(buf, nil)
	}
}

// leave keeps what came behind a request, and frees what its head stood in.
func (c *conn) leave(rest []byte) {
	c.head = nil
	if len(rest) == 0 {
		c.in = nil
		return
	}
	c.in = append([]byte(nil), rest...)
}

// pass gives the connection away, with what was read of it, and with the request that has begun here; nil for none.
func (c *conn) pass(read []byte, h *front.Handover) {
	kept := append([]byte(nil), read...)
	c.loop.poll.remove(c.fd) //nolint:errcheck // it is closed here below
	f := os.NewFile(uintptr(c.fd), "client")
	nc, err := net.FileConn(f)
	f.Close() //nolint:errcheck // nc has a copy
	c.fd = -1
	switch {
	case err != nil:
		c.loop.d.o.Log.Error("a connection is lost on its way to another driver", "error", err)
	case nc.RemoteAddr() == nil: // its client has reset it, and nobody knows any more who that was
		nc.Close() //nolint:errcheck // there is nothing left to lose
	default:
		c.terms.pass(nc, kept, h) // before the end here: at every moment somebody counts it
		c.terms, h = &passed, nil
	}
	if h != nil {
		h.Story.Lost()
	}
	c.close()
}

// passed are the terms of a connection that is gone: its place is another's.
var passed terms

// refuse answers what is no request and closes.
func (c *conn) refuse(r http1.Refusal) {
	r.Date, r.Close = c.loop.today(), true
	c.head, c.in = nil, nil
	c.closing = true
	if o, ok := c.session.(front.Observer); ok {
		o.Refused(c.loop.now, &r)
	}
	c.send(http1.AppendRefusal(c.loop.wbuf[:0], &r))
}

// send gives p to the client, now or when it takes it. p is not kept. It reports whether the connection lives.
func (c *conn) send(p []byte) bool {
	if len(c.out) > 0 || !c.writable {
		if len(c.out) == 0 {
			c.armWrite()
		}
		c.out = append(grown(c.out, len(p)), p...)
		return true
	}
	n, errno := send(c.fd, p)
	switch {
	case errno == unix.EAGAIN:
		n = 0
	case errno != 0:
		c.drop(front.ClientGone)
		return false
	}
	if n < len(p) {
		c.writable = false
		c.out = append(grown(c.out, len(p)-n), p[n:]...)
		c.armWrite()
		return true
	}
	return c.flushed()
}

// armWrite gives the client its time to take something.
func (c *conn) armWrite() {
	wait := c.loop.d.o.Write
	switch f := c.flow; {
	case c.fold != nil:
		wait = c.fold.bounds.Write
	case f != nil && f.x.Bounds != nil:
		wait = f.x.Bounds.Write
	}
	if c.timer.at = 0; wait > 0 {
		c.loop.wheel.arm(&c.timer, c.loop.now+int64(wait))
	}
}

// flush sends what waits. It reports whether the connection lives.
func (c *conn) flush() bool {
	n, errno := send(c.fd, c.out)
	switch {
	case errno == unix.EAGAIN:
		c.writable = false
		return true
	case errno != 0:
		c.drop(front.ClientGone)
		return false
	}
	if n < len(c.out) {
		c.writable = false
		c.out = c.out[:copy(c.out, c.out[n:])]
		c.armWrite()
		return true
	}
	c.out = recycle(c.out)
	if !c.flushed() {
		return false
	}
	if c.fold != nil {
		c.timer.at = 0
	}
	if f := c.flow; f != nil {
		f.resume()
	}
	return !c.dead
}

// flushed: the client has taken all there is.
func (c *conn) flushed() bool {
	if !c.closing {
		return true
	}
	c.closing = false
	unix.Shutdown(c.fd, unix.SHUT_WR) //nolint:errcheck // then the peer is gone already
	c.lingering = lingerBytes
	c.loop.wheel.arm(&c.timer, c.loop.now+int64(lingerFor))
	c.linger()
	return false
}

// linger reads what the client still sends, until it has ended.
func (c *conn) linger() {
	for c.readable && !c.dead {
		n, errno := recv(c.fd, c.loop.rbuf)
		if errno == unix.EAGAIN {
			c.readable = false
			return
		}
		if c.lingering -= n; errno != 0 || n == 0 || c.lingering <= 0 {
			c.close()
		}
	}
}

// done: the request on its way has ended, and its answer is sent, or stands in out.
func (c *conn) done(keepAlive bool) {
	c.flow = nil
	switch {
	case c.dead:
	case !keepAlive:
		c.closing = true
		c.head, c.in = nil, nil
		if len(c.out) == 0 {
			c.flushed()
		}
	default:
		c.loop.wheel.arm(&c.timer, c.loop.now+c.terms.idle)
		if c.loop.swept {
			c.sweep()
		}
		if !c.dead && (c.readable || len(c.in) > 0) {
			c.loop.again = append(c.loop.again, c) // not from here: each would stand on the one before
		}
	}
}

// busy reports whether a request is under way, or waits.
func (c *conn) busy() bool { return c.flow != nil || c.fold != nil }

// sweep closes the connection if nothing is under way on it.
func (c *conn) sweep() {
	if c.busy() || c.closing || c.lingering > 0 || len(c.in) > 0 || len(c.out) > 0 {
		return
	}
	var one [1]byte
	if n, errno := peek(c.fd, one[:]); errno == 0 && n > 0 {
		return // a request is there already
	}
	c.close()
}

// expired: the deadline has passed.
func (c *conn) expired() {
	switch {
	case c.lingering > 0, len(c.out) > 0:
		c.drop(front.ClientGone)
	case c.flow != nil:
		c.flow.slowClient()
	case c.fold != nil:
	case c.head != nil:
		c.refuse(slowHead)
	default:
		c.close()
	}
}

var (
	slowHead = http1.Refusal{Status: 408, Word: "slow-head", Text: "The request's head did not arrive in time.", Close: true}
	slowBody = http1.Refusal{Status: 408, Word: "slow-body", Text: "The request's body did not arrive in time.", Close: true}
)

// drop ends the connection and what is on its way in it.
func (c *conn) drop(how front.Outcome) {
	if f := c.inHand(); f != nil {
		c.flow = nil
		f.abandon(how)
	}
	c.close()
}

// close takes the connection out of the world.
func (c *conn) close() {
	if c.dead {
		return
	}
	c.dead = true
	c.loop.forget(&c.endpoint)
	if c.fd >= 0 {
		unix.Close(c.fd) //nolint:errcheck // there is nothing to do about it
	}
	c.session.Close()
	recycle(c.out)
	c.in, c.out, c.head = nil, nil, nil
	c.terms.room.Leave()
	c.loop.d.conns.Add(-1)
	c.loop.d.o.OnIdle()
}

func (c *conn) String() string { return "conn " + strconv.Itoa(c.fd) }
