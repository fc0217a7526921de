package loop

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"semper/edge/front"
	"semper/edge/http1"
)

// A sub is a subrequest: what a flow is, without a client. Nobody waits for it, so it begins when the events in hand have been answered.
type sub struct {
	*front.Subrequest
	loop  *loop
	up    *up // nil before it begins, and when it is over
	until int64
	fresh bool // its connection is, or will be, a new one
	heard bool // something came of the response
	over  bool

	out      []byte          // what is not sent yet
	part     []byte          // of a head that came in pieces
	partHead *http1.Response // of part
	early    int             // informational responses
	download http1.Body      // once the head was there
	answered bool
	last     bool // the target wants no other request on the connection
}

// Run implements front.Runner.
func (l *loop) Run(r *front.Subrequest) front.Running {
	s := &sub{Subrequest: r, loop: l, until: l.now + int64(r.Within)}
	l.subs = append(l.subs, s)
	return s
}

// beside begins what was asked for meanwhile.
func (l *loop) beside() {
	for i := 0; i < len(l.subs); i++ {
		l.subs[i].begin()
		l.subs[i] = nil
	}
	l.subs = l.subs[:0]
}

var errShut = errors.New("the loop has ended")

// Cancel implements front.Running.
func (s *sub) Cancel() { s.loop.post(func(*loop) { s.end(context.Canceled) }) }

func (s *sub) begin() {
	if s.over {
		return
	}
	p := s.loop.pool(s.Target)
	for !s.fresh {
		u := p.take()
		if u == nil {
			break
		}
		// As for a flow: what must not be sent twice goes only to a connection whose peer is there.
		if !s.Method.Idempotent() && u.gone() {
			u.close()
			continue
		}
		s.attach(u)
		s.transmit()
		return
	}
	s.fresh = true
	u, err := s.loop.dial(s.Target)
	if err != nil {
		s.end(err)
		return
	}
	if s.attach(u); !u.connecting {
		s.transmit()
	}
}

func (s *sub) attach(u *up) {
	s.up, u.sub, s.out = u, s, s.Head
	s.loop.wheel.arm(&u.timer, s.until)
}

// detach takes the connection from s.
func (s *sub) detach() *up {
	u := s.up
	s.up, u.sub = nil, nil
	return u
}

// transmit sends what is not sent yet.
func (s *sub) transmit() {
	u := s.up
	n, errno := send(u.fd, s.out)
	switch {
	case errno == unix.EAGAIN:
		u.writable = false
	case errno != 0 && u.readable: // it may have answered before it closed
		s.out = nil
		s.last = true
		s.receive()
	case errno != 0:
		s.broken(errno)
	default:
		if s.out = s.out[n:]; len(s.out) > 0 {
			u.writable = false
		}
	}
}

// progress: the connection may be read or written again.
func (s *sub) progress() {
	u := s.up
	if len(s.out) > 0 && u.writable {
		s.transmit()
	}
	if s.up == u {
		s.receive()
	}
}

func (s *sub) receive() {
	u, l := s.up, s.loop
	for got := 0; s.up == u && u.readable; {
		if got >= l.share {
			l.postpone(&u.endpoint)
			return
		}
		n, errno := recv(u.fd, l.rbuf)
		switch {
		case errno == unix.EAGAIN:
			u.readable = false
			return
		case errno != 0:
			s.broken(errno)
			return
		case n == 0:
			s.ended()
			return
		}
		if n < len(l.rbuf) && !u.ended {
			u.readable = false
		}
		got += n
		s.heard = true
		if s.answered {
			s.content(l.rbuf[:n])
		} else {
			s.head(l.rbuf[:n])
		}
	}
}

// head reads the response's head, and the informational ones before it.
func (s *sub) head(buf []byte) {
	r, asked := &s.loop.resp, http1.Asked{Method: s.Method}
	if s.partHead != nil {
		r = s.partHead
		s.part = append(s.part, buf...)
		buf = s.part
	} else {
		r.Reset()
	}
	for {
		n, err := r.Parse(buf, s.loop.d.o.Responses, asked)
		if err != nil {
			s.end(err)
			return
		}
		if n == 0 {
			s.keepPart(buf, asked)
			return
		}
		if !r.Informational() {
			s.answered, s.last = true, s.last || !r.KeepAlive
			s.To.Head(r)
			s.download.ResetResponse(r, s.loop.d.o.Responses)
			s.partHead = nil
			s.content(buf[n:])
			return
		}
		if s.early++; s.early > maxEarly {
			s.end(errEarly)
			return
		}
		buf = buf[n:]
		r.Reset()
	}
}

// keepPart keeps the beginning of a head, which goes on in what comes next. One that was kept already is read on where it was.
func (s *sub) keepPart(buf []byte, asked http1.Asked) {
	if s.partHead != nil && len(buf) == len(s.part) {
		return
	}
	s.partHead, s.part = new(http1.Response), append([]byte(nil), buf...)
	s.partHead.Parse(s.part, s.loop.d.o.Responses, asked) //nolint:errcheck // as before: it wants more
}

func (s *sub) content(buf []byte) {
	for n := 0; ; {
		piece, m, done, err := s.download.Next(buf[n:])
		if err != nil {
			s.end(err)
			return
		}
		n += m
		if len(piece) > 0 && !s.To.Content(piece) {
			s.end(nil)
			return
		}
		if done {
			s.whole(n < len(buf))
			return
		}
		if m == 0 || n == len(buf) {
			return
		}
	}
}

// whole: the response has ended. more says that something stands behind it.
func (s *sub) whole(more bool) {
	keep := !more && !s.last && len(s.out) == 0
	if u := s.detach(); keep {
		u.rest()
	} else {
		u.close()
	}
	s.end(nil)
}

// ended: the target sends no more.
func (s *sub) ended() {
	switch {
	case !s.heard:
		s.broken(errClosed)
	case !s.answered:
		s.end(http1.ErrResponseTruncated)
	default:
		s.end(s.download.Truncated()) // nil: its end was that of the connection
	}
}

// broken: the connection has ended before a word of the response. One that had been at rest may have been closed before the request
// came to it, and says nothing of the target.
func (s *sub) broken(err error) {
	if s.fresh || s.heard || !s.Method.Idempotent() {
		s.end(err)
		return
	}
	s.detach().close()
	s.fresh = true
	s.begin()
}

// end ends s, once.
func (s *sub) end(err error) {
	if s.over {
		return
	}
	if s.up != nil {
		s.detach().close()
	}
	s.over, s.part, s.partHead = true, nil, nil
	s.To.End(err)
}
