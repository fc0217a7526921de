package server

import (
	"errors"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/upstream"
)

// await reads heads until that of the response, and passes informational ones on.
func (f *flow) await() error {
	c := f.c
	if f.uploading == nil {
		c.in.rest()
	}
	for {
		patient := !f.whole()
		if err := f.up.ReadHead(&f.resp, f.asked); err != nil {
			var e *upstream.Error
			if patient && errors.As(err, &e) && e.Timeout() && !c.marked(markCut|markGone|markOver) {
				continue // the time for it runs from the end of the request
			}
			return err
		}
		r := &f.resp
		if !r.Informational() {
			return nil
		}
		if f.early++; f.early > maxEarly {
			return errEarly
		}
		if f.minor > 0 && r.Status != 100 { // 100 answers an expectation, and none was passed on
			w := http1.AppendResponse(takeOut(), r, &http1.Answer{Method: f.asked.Method, Minor: f.minor})
			err := c.write(w)
			give(w)
			if err != nil {
				return &clientError{err}
			}
		}
	}
}

// pass passes the response on whose head is there.
func (f *flow) pass() ending {
	c, r, a := f.c, &f.resp, &f.x.Answer
	c.askHow(f)
	if !f.whole() { // it will not be read as HTTP any more: what is under way belongs to no request
		a.Close = true
	}
	out, closes := a.Framing(r)
	f.keepAlive = f.keepAlive && !closes
	f.answered = true
	w := http1.AppendResponse(takeOut(), r, a)
	if err := f.deliver(w, out.Kind == http1.Chunked); err != nil {
		return f.breakOff(err, out.Kind)
	}
	f.stopUpload()
	f.up.Release(f.uploaded)
	f.end(front.Answered)
	return f.next()
}

// deliver passes content on as it comes, behind what is in w. It gives w back.
func (f *flow) deliver(w []byte, rechunk bool) error {
	c, u := f.c, f.up
	piece, done, err := u.Ready()
	for {
		for w = f.put(w, piece, done && err == nil, rechunk); len(piece) > 0 && !done && err == nil && len(w) < largeBuffer; {
			piece, done, err = u.Ready() // what came with it goes with it
			w = f.put(w, piece, done && err == nil, rechunk)
		}
		var werr error
		if len(w) > 0 {
			werr = c.write(w)
		}
		give(w)
		switch {
		case werr != nil:
			return &clientError{werr}
		case err != nil || done:
			return err
		}
		if piece, done, err = u.Next(); !rechunk && len(piece) > 0 {
			f.count(piece)
			if werr := c.write(piece); werr != nil { // as it came: nothing stands before it or behind it
				return &clientError{werr}
			}
			piece = nil
		}
		w = takeOut()
	}
}

// put appends content of the response as the client gets it.
func (f *flow) put(w, piece []byte, done, rechunk bool) []byte {
	f.count(piece)
	if !rechunk {
		return append(w, piece...)
	}
	w = http1.AppendChunk(w, piece)
	if done {
		w = http1.AppendLastChunk(w, f.up.Body())
	}
	return w
}

// count notes content that the client gets.
func (f *flow) count(piece []byte) {
	f.x.Sent += int64(len(piece))
	if f.x.Tee != nil {
		f.x.Tee.Write(piece) //nolint:errcheck // it means nothing
	}
}
