package loop

import (
	"errors"

	"golang.org/x/sys/unix"

	"semper/edge/front"
	"semper/edge/http1"
)

var errClosed = errors.New("the target closed the connection before it answered")

// broken: the connection to the target ended before a response, or in the middle of one.
func (f *flow) broken(err error) {
	if f.answered {
		f.breakOff(front.BrokenOff)
		return
	}
	f.failed(front.Failure{Kind: front.Broken, Unsent: !f.sent, Err: err})
}

// failed asks what becomes of an attempt that brought no response.
func (f *flow) failed(failure front.Failure) {
	f.detach()
	if f.early > 0 || f.partHead != nil {
		failure.Replayable = false // some of an answer has come
	} else {
		failure.Replayable = !f.lost
	}
	f.partHead, f.part = nil, nil
	f.waiting = false
	f.stamp()
	action := f.conn.session.Failed(&f.x, failure)
	f.restore(action)
	f.act(action)
}

// detach lets go of the connection to the target.
func (f *flow) detach() {
	if u := f.up; u != nil {
		f.up = nil
		u.flow = nil
		u.close()
	}
	f.out = nil
}

// refuse answers with the session's refusal.
func (f *flow) refuse() { f.answer(f.x.Refusal, front.Refused) }

func (f *flow) answer(r http1.Refusal, how front.Outcome) {
	c := f.conn
	r.Date, r.NoContent = f.loop.today(), f.noContent
	r.Close = r.Close || !f.uploaded || !f.keepAlive || f.minor == 0
	f.keepAlive = !r.Close
	f.x.Status = r.Status
	f.last = true
	w := http1.AppendRefusal(f.loop.wbuf[:0], &r)
	if c.send(w) && c.flow == f && len(c.out) == 0 {
		f.end(how)
		return
	}
	if c.flow == f {
		f.ending(how)
	}
}

// ending takes the books now, though the client has not taken all of the answer: what it is is decided.
func (f *flow) ending(how front.Outcome) { f.outcome, f.decided = how, true }

// badBody: what the client sends is no content.
func (f *flow) badBody(err error) {
	if f.answered {
		f.breakOff(front.ClientGone)
		return
	}
	f.detach()
	var e *http1.Error
	if !errors.As(err, &e) {
		e = http1.ErrBodyTruncated
	}
	f.answer(e.Refusal(), front.ClientGone)
}

// slowClient: the client sends nothing of its content, or too little.
func (f *flow) slowClient() {
	if f.uploaded {
		return
	}
	if f.answered {
		f.breakOff(front.ClientGone)
		return
	}
	f.detach()
	f.answer(slowBody, front.ClientGone)
}

// slowTarget: the response does not come.
func (f *flow) slowTarget() {
	switch {
	case f.answered && f.x.Stream:
		f.cut()
		return
	case f.answered:
		f.breakOff(front.BrokenOff)
		return
	}
	f.failed(front.Failure{Kind: front.TimedOut, Err: errNoResponse})
}

// cut ends the flow in the middle.
func (f *flow) cut() {
	switch {
	case f.last:
	case f.answered && f.x.Stream && f.rechunk: // an event stream may end at any time: its client comes back
		f.detach()
		f.keepAlive, f.last = false, true
		c := f.conn
		if c.send(http1.AppendLastChunk(f.loop.wbuf[:0], nil)) && c.flow == f && len(c.out) == 0 {
			f.end(front.CutOff)
		} else if c.flow == f {
			f.ending(front.CutOff)
		}
	case f.answered:
		f.breakOff(front.CutOff)
	default:
		f.failed(front.Failure{Kind: front.WasCut})
	}
}

// breakOff ends the client's connection, so that it takes nothing for whole.
func (f *flow) breakOff(how front.Outcome) {
	c := f.conn
	if c == nil || c.flow != f {
		return
	}
	if f.minor == 0 { // its end would be that of the content
		unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) //nolint:errcheck // then it may take it for whole
	}
	c.drop(how)
}

// abandon is the end of a flow whose client's connection goes.
func (f *flow) abandon(how front.Outcome) {
	f.detach()
	if f.decided {
		how = f.outcome
	}
	f.stamp()
	f.conn.session.End(&f.x, how)
	f.loop.give(f)
}
