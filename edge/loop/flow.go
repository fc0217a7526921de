package loop

import (
	"errors"

	"golang.org/x/sys/unix"

	"semper/edge/front"
	"semper/edge/http1"
)

// A flow is one request on its way: from a whole head to the end of its answer.
type flow struct {
	loop *loop
	conn *conn
	up   *up
	x    front.Exchange

	// What the head said, for when its bytes are gone.
	asked      http1.Asked
	keepAlive  bool
	noContent  bool // of the answer: it is for HEAD
	idempotent bool
	minor      uint8

	// The request on its way out.
	content_ http1.Body
	chunked  bool
	uploaded bool   // all of it has come from the client
	sent     bool   // of this attempt, some byte was given to a connection
	lost     bool   // more was sent than is kept
	kept     []byte // the head as forwarded, and the content while it fits
	heading  int    // how much of kept is the head
	waiting  bool   // neither forwarded nor refused: until Wake
	came     *came  // before it was folded; nil: it was not, or is restored
	spill    []byte // content that is not kept and was not taken yet
	out      []byte // what is not sent yet: the end of kept, or spill
	begun    int64  // when the content began to be waited for, later by what the target took its time for
	blocked  int64  // since when the target takes nothing; 0: it does

	// The response on its way back.
	part     []byte          // of a head that came in pieces
	partHead *http1.Response // of part
	download http1.Body
	rechunk  bool
	answered bool // its head has been passed on
	last     bool // all of it has been passed on
	closes   bool
	early    int // informational responses
	decided  bool
	patience int64         // until when it waits for a place in the target's queue; 0: it does not
	outcome  front.Outcome // when decided: how it ends, once the client has taken its answer
}

func (f *flow) reset() {
	*f = flow{loop: f.loop, kept: recycle(f.kept), spill: recycle(f.spill), x: front.Exchange{Words: &f.loop.words, Aside: f.loop}}
}

// begin sends the request whose head is r; rest came behind it. r and rest are good only here.
func (f *flow) begin(r *http1.Request, rest []byte, action front.Action) {
	f.heed(r)
	f.compose(r)
	f.x.Request = nil // its bytes go
	n, err := f.take(rest)
	f.conn.leave(rest[n:])
	if err != nil {
		f.badBody(err)
		return
	}
	f.act(action)
}

// heed notes what r says.
func (f *flow) heed(r *http1.Request) {
	f.asked, f.keepAlive, f.minor = http1.Asked{Method: r.Method}, r.KeepAlive, r.Minor
	f.noContent, f.idempotent = r.Method == http1.HEAD, r.Method.Idempotent()
	f.content_.ResetRequest(r, f.conn.terms.limits)
	f.chunked = r.Framing.Kind == http1.Chunked
}

// compose makes the head of r as the session wants it forwarded.
func (f *flow) compose(r *http1.Request) {
	f.kept = http1.AppendRequest(f.kept[:0], r, &f.x.Forward)
	f.heading = len(f.kept)
	f.x.Keep += f.heading
	if f.x.Bounds == nil {
		f.x.Bounds = &f.loop.d.own
	}
}

// act does what the session says.
func (f *flow) act(action front.Action) {
	switch action {
	case front.Forward:
		f.attempt()
	case front.Wait:
		f.wait()
	case front.Pass:
		f.handOver()
	default:
		f.refuse()
	}
}

// handOver gives the request, of which no target has anything it would miss, to the other way, and the connection with it.
func (f *flow) handOver() {
	c, h := f.conn, f.x.Handover
	h.Body, h.Whole, h.Content = f.content_, f.uploaded, f.received()
	c.flow = nil
	f.loop.give(f)
	c.pass(c.in, h)
}

// received is what has come of the content, all of which is kept.
func (f *flow) received() []byte {
	if f.chunked {
		return http1.AppendContent(nil, f.kept[f.heading:])
	}
	return append([]byte(nil), f.kept[f.heading:]...)
}

// stamp sets what each call of the session is given.
func (f *flow) stamp() {
	f.x.Now, f.x.Date = f.loop.now, f.loop.today()
}

// take moves what of p is content of the request into kept, before anything was sent.
func (f *flow) take(p []byte) (n int, err error) {
	for !f.uploaded {
		piece, m, done, err := f.content_.Next(p[n:])
		if err != nil {
			return n, err
		}
		n += m
		f.x.Received += int64(len(piece))
		if f.tooMuch() {
			return n, http1.ErrBodyTooLarge
		}
		f.kept = f.frame(grown(f.kept, len(piece)), piece, done)
		f.uploaded = done
		if m == 0 {
			break
		}
	}
	return n, nil
}

// tooMuch reports whether more content has come than the request may have.
func (f *flow) tooMuch() bool { return f.x.Bounds.Content > 0 && f.x.Received > f.x.Bounds.Content }

// frame appends content as the target gets it.
func (f *flow) frame(dst, piece []byte, done bool) []byte {
	if !f.chunked {
		return append(dst, piece...)
	}
	dst = http1.AppendChunk(dst, piece)
	if done {
		dst = http1.AppendLastChunk(dst, &f.content_)
	}
	return dst
}

// attempt sends what is kept to the target.
func (f *flow) attempt() {
	l := f.loop
	f.sent, f.out = false, f.kept
	if f.begun == 0 {
		f.begun = l.now
	}
	for {
		u := l.pool(f.x.Target).take()
		if u == nil {
			break
		}
		// What must not be sent twice goes only to a connection whose peer is there.
		if !f.idempotent && u.gone() {
			u.close()
			continue
		}
		u.flow, f.up, f.patience = f, u, 0
		f.x.Reused = true
		f.connected()
		return
	}
	f.x.Reused = false
	u, err := l.dial(f.x.Target)
	if errors.Is(err, unix.EAGAIN) && l.patient(f) {
		return
	}
	if err != nil {
		f.failed(front.Failure{Kind: front.ConnectFailed, Unsent: true, Err: err})
		return
	}
	u.flow, f.up, f.patience = f, u, 0
	if u.connecting {
		u.arm(f.x.Bounds.Connect)
		return
	}
	f.connected()
}

// connected: the connection stands.
func (f *flow) connected() {
	if f.transmit() {
		f.upload() // what came meanwhile
	}
}

// transmit sends what is not sent yet. It reports whether the attempt goes on.
func (f *flow) transmit() bool {
	u := f.up
	n, errno := send(u.fd, f.out)
	switch {
	case errno == unix.EAGAIN:
		f.waitForTaking()
		return true
	case errno != 0:
		// It may have answered before it closed.
		if u.readable && f.sent {
			f.receive()
			return false
		}
		f.broken(errno)
		return false
	}
	f.sent = true
	f.out = f.out[n:]
	if len(f.out) > 0 {
		f.waitForTaking()
		return true
	}
	f.out = nil
	if f.blocked > 0 {
		f.begun += f.loop.now - f.blocked
		f.blocked = 0
	}
	f.waitForMore()
	return true
}

// waitForTaking gives the target its time to take some of the request. It is not the client who is waited for.
func (f *flow) waitForTaking() {
	f.up.writable = false
	if f.blocked == 0 {
		f.blocked = f.loop.now
	}
	if c := f.conn; len(c.out) == 0 {
		c.timer.at = 0
	}
	if !f.answered {
		f.up.arm(f.x.Bounds.Response)
	}
}

// waitForMore sets the deadline of whom is waited for now.
func (f *flow) waitForMore() {
	l, c := f.loop, f.conn
	if f.uploaded {
		if len(c.out) == 0 {
			c.timer.at = 0
		}
		if f.answered {
			f.listen()
		} else {
			f.up.arm(f.x.Bounds.Response)
		}
		return
	}
	f.up.timer.at = 0
	b := f.x.Bounds
	if b.Upload <= 0 {
		c.timer.at = 0
		return
	}
	at := l.now + int64(b.Upload)
	if b.Rate > 0 {
		at = min(at, f.begun+int64(b.Upload)+f.x.Received*1e9/b.Rate)
	}
	l.wheel.arm(&c.timer, at)
}

// upload passes on what the client sends.
func (f *flow) upload() {
	c, l := f.conn, f.loop
	for got := 0; !c.dead && c.flow == f && !f.uploaded && len(f.out) == 0 && f.up != nil && !f.up.connecting; {
		if got >= l.share {
			l.postpone(&c.endpoint)
			return
		}
		buf := c.in
		if len(buf) == 0 {
			if !c.readable {
				return
			}
			n, errno := recv(c.fd, l.rbuf)
			if errno == unix.EAGAIN {
				c.readable = false
				return
			}
			if errno != 0 {
				c.drop(front.ClientGone)
				return
			}
			if n == 0 {
				f.badBody(f.content_.Truncated())
				return
			}
			if n < len(l.rbuf) && !c.ended {
				c.readable = false
			}
			buf = l.rbuf[:n]
			got += n
		}
		if !f.relay(buf) {
			return
		}
	}
}

// relay passes on what of buf is content, and keeps the rest. It reports whether to go on.
func (f *flow) relay(buf []byte) bool {
	l, c := f.loop, f.conn
	w, n := l.wbuf[:0], 0 // framed anew; content of a known length goes as it came
	for !f.uploaded && n < len(buf) {
		piece, m, done, err := f.content_.Next(buf[n:])
		if err != nil {
			f.badBody(err)
			return false
		}
		n += m
		f.x.Received += int64(len(piece))
		if f.tooMuch() {
			f.badBody(http1.ErrBodyTooLarge)
			return false
		}
		if f.uploaded = done; !f.chunked {
			w = piece
			break
		}
		if w = f.frame(w, piece, done); m == 0 {
			break
		}
	}
	rest := buf[n:]
	if f.chunked {
		l.wbuf = w[:0]
	}
	switch {
	case len(w) == 0:
	case !f.lost && len(f.kept)+len(w) <= f.x.Keep:
		f.kept = append(grown(f.kept, len(w)), w...)
		f.out = f.kept[len(f.kept)-len(w):]
	default:
		f.lost = true
		f.out = w
	}
	c.leave(rest)
	if len(w) == 0 {
		f.waitForMore()
		return true
	}
	if !f.transmit() {
		return false
	}
	if f.lost && len(f.out) > 0 { // it stands in a buffer of the loop
		f.spill = append(grown(f.spill[:0], len(f.out)), f.out...)
		f.out = f.spill
	}
	return len(f.out) == 0
}

// progress: the connection to the target may be read or written again.
func (f *flow) progress() {
	u := f.up
	if len(f.out) > 0 && u.writable {
		if !f.transmit() {
			return
		}
		f.upload()
	}
	if f.up == u && u.flow == f {
		f.receive()
	}
}

// end: the answer has been passed on.
func (f *flow) end(how front.Outcome) {
	c, keepAlive := f.conn, f.keepAlive && f.uploaded
	if f.decided {
		how = f.outcome
	}
	f.stamp()
	c.session.End(&f.x, how)
	f.loop.give(f)
	c.done(keepAlive)
}
