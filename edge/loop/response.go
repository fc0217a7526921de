package loop

import (
	"errors"

	"golang.org/x/sys/unix"

	"semper/edge/front"
	"semper/edge/http1"
)

// maxEarly bounds the informational responses to one request.
const maxEarly = 32

// resume: the client has taken what waited for it.
func (f *flow) resume() {
	if f.last {
		f.end(front.Answered)
		return
	}
	f.conn.timer.at = 0
	if f.up != nil {
		f.waitForMore()
		f.receive()
	}
}

// receive reads what the target sends, while the client takes it and the other flows can wait.
func (f *flow) receive() {
	u, l := f.up, f.loop
	for got := 0; f.up == u && u.flow == f && u.readable && len(f.conn.out) == 0; {
		if got >= l.share {
			l.postpone(&u.endpoint)
			return
		}
		if f.splices() {
			n, ok := f.splice()
			if got += n; !ok {
				return
			}
			continue
		}
		n, errno := recv(u.fd, l.rbuf)
		switch {
		case errno == unix.EAGAIN:
			u.readable = false
			return
		case errno != 0:
			f.broken(errno)
			return
		case n == 0:
			f.ended()
			return
		}
		if n < len(l.rbuf) && !u.ended {
			u.readable = false
		}
		l.filled = n
		got += n
		if f.answered {
			f.content(l.wbuf[:0], l.rbuf[:n])
		} else {
			f.head(l.rbuf[:n])
		}
	}
}

// head reads the response's head, and the informational ones before it.
func (f *flow) head(buf []byte) {
	l := f.loop
	r := f.partHead
	if r == nil {
		r = &l.resp
		r.Reset()
	} else {
		f.part = append(f.part, buf...)
		buf = f.part
	}
	w := l.wbuf[:0]
	for {
		n, err := r.Parse(buf, l.d.o.Responses, f.asked)
		if err != nil {
			f.malformed(w, err)
			return
		}
		if n == 0 {
			f.keepPart(r, buf)
			if len(w) > 0 {
				f.conn.send(w)
			}
			return
		}
		if !r.Informational() {
			f.stamp()
			f.x.Response, f.x.Status, f.x.Answer = r, r.Status, http1.Answer{}
			f.conn.session.Head(&f.x)
			f.pass(w, r, buf[n:])
			return
		}
		if f.early++; f.early > maxEarly {
			f.malformed(w, errEarly)
			return
		}
		if f.minor > 0 && r.Status != 100 { // 100 answers an expectation, and none was passed on
			w = http1.AppendResponse(w, r, &http1.Answer{Method: f.asked.Method, Minor: f.minor})
		}
		buf = buf[n:]
		r.Reset()
	}
}

// malformed: what comes is no response. w are the informational ones before it.
func (f *flow) malformed(w []byte, err error) {
	if c := f.conn; len(w) == 0 || c.send(w) {
		f.failed(front.Failure{Kind: front.Malformed, Err: err})
	}
}

var errEarly = errors.New("too many informational responses")

func (f *flow) keepPart(r *http1.Response, buf []byte) {
	if f.partHead == nil {
		f.partHead = new(http1.Response)
		f.part = append([]byte(nil), buf...)
		f.partHead.Parse(f.part, f.loop.d.o.Responses, f.asked) //nolint:errcheck // as before: it wants more
		return
	}
	if len(buf) != len(f.part) { // informational heads stood before it
		f.part = append(f.part[:0], buf...)
		r.Reset()
		r.Parse(f.part, f.loop.d.o.Responses, f.asked) //nolint:errcheck // the same
	}
}

// pass passes the response's head on, and the content that came with it.
func (f *flow) pass(w []byte, r *http1.Response, rest []byte) {
	a := &f.x.Answer
	if !f.uploaded { // it will not be read as HTTP any more: what is under way belongs to no request
		a.Close = true
	}
	out, closes := a.Framing(r)
	f.rechunk, f.closes = out.Kind == http1.Chunked, closes
	f.keepAlive = f.keepAlive && !closes
	f.answered = true
	f.kept = f.kept[:0]
	f.download.ResetResponse(r, f.loop.d.o.Responses)
	w = http1.AppendResponse(w, r, a)
	keep := r.KeepAlive
	f.partHead = nil
	if !keep {
		f.up.ended = true // it is not to be used again
	}
	f.up.timer.at = 0
	f.content(w, rest)
}

// content passes content on. w is what goes before it.
func (f *flow) content(w, buf []byte) {
	done, made, n := false, true, 0
	for !done {
		piece, m, d, err := f.download.Next(buf[n:])
		if err != nil {
			f.send(w)
			f.breakOff(front.BrokenOff)
			return
		}
		n += m
		done = d
		f.x.Sent += int64(len(piece))
		if f.x.Tee != nil {
			f.x.Tee.Write(piece) //nolint:errcheck // it means nothing
		}
		switch {
		case f.rechunk:
			w = http1.AppendChunk(w, piece)
			if done {
				w = http1.AppendLastChunk(w, &f.download)
			}
		case len(w) == 0 && (done || n == len(buf)):
			w, made = piece, false // as it came: nothing stands before it or behind it
		default:
			if joined, ok := f.loop.ahead(w, piece); ok {
				w, made = joined, false
			} else {
				w = append(w, piece...)
			}
		}
		if m == 0 || n == len(buf) {
			break
		}
	}
	if made && cap(w) <= 4*bufferSize {
		f.loop.wbuf = w[:0]
	}
	if done {
		f.release(n < len(buf))
	}
	c := f.conn
	if len(w) > 0 && !c.send(w) {
		return
	}
	if done && c.flow == f {
		f.last = true
		if len(c.out) == 0 {
			f.end(front.Answered)
		}
		return
	}
	f.listen()
}

// listen gives the target its time to say more: none while nobody listens, because the client has to take what there is.
func (f *flow) listen() {
	switch {
	case f.up == nil:
	case len(f.conn.out) > 0:
		f.up.timer.at = 0
	case f.x.Stream:
		f.up.arm(f.x.Bounds.Stream)
	default:
		f.up.arm(f.x.Bounds.Stall)
	}
}

func (f *flow) send(w []byte) {
	if len(w) > 0 {
		f.conn.send(w)
	}
}

// release gives the connection back, or closes it: the response has ended.
func (f *flow) release(more bool) {
	u := f.up
	f.up = nil
	if more || !f.uploaded || len(f.out) > 0 {
		u.flow = nil
		u.close()
		return
	}
	u.rest()
}

// ended: the target sends no more.
func (f *flow) ended() {
	switch {
	case !f.answered && f.partHead != nil:
		f.failed(front.Failure{Kind: front.Malformed, Err: http1.ErrResponseTruncated})
	case !f.answered:
		f.broken(errClosed)
	case f.download.Truncated() != nil:
		f.breakOff(front.BrokenOff)
	default: // its end was that of the connection
		f.release(true)
		f.last = true
		var w []byte
		if f.rechunk {
			w = http1.AppendLastChunk(f.loop.wbuf[:0], nil)
		}
		c := f.conn
		if len(w) > 0 && !c.send(w) {
			return
		}
		if len(c.out) == 0 {
			f.end(front.Answered)
		}
	}
}
