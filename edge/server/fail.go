package server

import (
	"errors"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/upstream"
)

var (
	errEarly      = errors.New("too many informational responses")
	errClosed     = errors.New("the target closed the connection before it answered")
	errClientGone = errors.New("the client went away")
)

// A clientError is an answer that the client did not take.
type clientError struct{ err error }

func (e *clientError) Error() string { return errClientGone.Error() + ": " + e.err.Error() }
func (e *clientError) Unwrap() error { return e.err }

// failure is what err, instead of a response, says of the target.
func (f *flow) failure(err error) front.Failure {
	of := front.Failure{Kind: front.Broken, Unsent: f.up.Written() == 0, Err: err}
	f.part = f.resp.Status != 0 || f.resp.Fields() > 0
	var e *http1.Error
	var u *upstream.Error
	switch {
	case errors.Is(err, errEarly):
		of.Kind, of.Unsent = front.Malformed, false
	case errors.As(err, &e) && (f.part || !errors.Is(err, http1.ErrResponseTruncated)):
		of.Kind, of.Unsent = front.Malformed, false
	case errors.Is(err, http1.ErrResponseTruncated):
		of.Err = errClosed
	case f.stuck.Load(), errors.As(err, &u) && u.Timeout():
		of.Kind, of.Unsent = front.TimedOut, false
	}
	return of
}

// failed asks what becomes of an attempt, or a wait, that brought no response.
func (f *flow) failed(of front.Failure) (front.Action, ending) {
	c := f.c
	f.stopUpload()
	f.detach()
	switch {
	case f.fault != nil:
		return 0, f.reply(*f.fault, front.ClientGone)
	case f.gone || c.marked(markGone):
		return 0, f.abandon(front.ClientGone)
	case c.marked(markOver):
		return 0, f.abandon(front.CutOff)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.marked(markCut) {
		of = front.Failure{Kind: front.WasCut}
	}
	c.forgiveLocked(f)
	of.Replayable = f.early == 0 && !f.part && !f.lost
	f.part = false
	f.stamp()
	return c.toldLocked(f, c.session.Failed(&f.x, of)), proceed
}

// detach lets go of the connection to the target.
func (f *flow) detach() {
	u := f.up
	if u == nil {
		return
	}
	f.c.mu.Lock()
	f.up = nil
	f.c.mu.Unlock()
	u.Release(false)
}

// refuse answers with the session's refusal.
func (f *flow) refuse() ending { return f.reply(f.x.Refusal, front.Refused) }

func (f *flow) reply(r http1.Refusal, how front.Outcome) ending {
	c := f.c
	r.Date, r.NoContent = c.server.today(), f.noContent
	r.Close = r.Close || !f.uploaded || !f.keepAlive || f.minor == 0
	f.keepAlive = !r.Close
	f.x.Status = r.Status
	w := http1.AppendRefusal(takeOut(), &r)
	defer give(w)
	if c.write(w) != nil {
		return f.abandon(front.ClientGone)
	}
	f.end(how)
	return f.next()
}

// badBody: what the client sends is no content.
func (f *flow) badBody(err error) ending {
	f.detach()
	return f.reply(refusalOf(err), front.ClientGone)
}

func refusalOf(err error) http1.Refusal {
	var e *http1.Error
	if !errors.As(err, &e) {
		e = http1.ErrBodyTruncated
	}
	return e.Refusal()
}

// breakOff ends a response in the middle.
func (f *flow) breakOff(err error, framing http1.FramingKind) ending {
	c := f.c
	f.stopUpload()
	f.detach()
	how := front.BrokenOff
	var gone *clientError
	var late *upstream.Error
	silent := f.x.Stream && errors.As(err, &late) && late.Timeout()
	switch {
	case c.marked(markCut | markOver), silent && !c.marked(markGone):
		how = front.CutOff
		// An event stream may end at any time: its client comes back.
		if f.x.Stream && framing == http1.Chunked && (silent || c.marked(markCut)) && !errors.As(err, &gone) {
			return f.endStream()
		}
	case f.fault != nil, f.gone, c.marked(markGone), errors.As(err, &gone):
		how = front.ClientGone
	}
	if framing == http1.UntilClose { // there an orderly end would be that of the content
		c.reset()
	}
	return f.abandon(how)
}

func (f *flow) endStream() ending {
	f.keepAlive = false
	if f.c.write(http1.AppendLastChunk(nil, nil)) != nil {
		return f.abandon(front.CutOff)
	}
	f.end(front.CutOff)
	return linger
}

// abandon is the end of a request whose client's connection goes.
func (f *flow) abandon(how front.Outcome) ending {
	f.detach()
	f.end(how)
	return drop
}
