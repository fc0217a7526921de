package server

import (
	"errors"
	"io"
	"os"
	"time"

	"semper/edge/http1"
	"semper/edge/upstream"
)

// upload begins to send the content that is not at hand. It fails when the client does not take its 100 Continue.
func (f *flow) upload() error {
	if f.expects {
		f.expects = false
		if err := f.c.write([]byte(http1.Continue)); err != nil {
			return err
		}
	}
	f.c.in.wide = true
	f.uploading = make(chan struct{})
	f.final.Store(false)
	f.stuck.Store(false)
	go f.send(f.up, f.use)
	return nil
}

// uploadEnd is how long a response waits for the end of the upload's last write: the target has what it answers, and the
// upload has only to notice. A target that answers before it takes the rest is not waited for much longer.
const uploadEnd = 20 * time.Millisecond

// whole reports whether the request has been sent to its end.
func (f *flow) whole() bool {
	if f.uploading == nil {
		return f.uploaded
	}
	select {
	case <-f.uploading:
		return f.uploaded
	default:
	}
	if !f.final.Load() {
		return false
	}
	late := time.NewTimer(uploadEnd)
	defer late.Stop()
	select {
	case <-f.uploading:
		return f.uploaded
	case <-late.C:
		return false
	}
}

// stopUpload ends an upload. Its connection to the target is of no use then, unless all was sent.
func (f *flow) stopUpload() {
	if f.uploading == nil {
		return
	}
	if !f.whole() {
		c := f.c
		c.mu.Lock()
		c.marks.Or(markHalt)
		c.mu.Unlock()
		c.nc.SetReadDeadline(past) //nolint:errcheck // a closed connection wakes it too
		f.up.Kill(f.use)
		<-f.uploading
		c.mu.Lock()
		c.marks.And(^markHalt)
		c.mu.Unlock()
		c.armed = 0
	}
	f.uploading, f.c.in.wide = nil, false
}

// send is an upload's goroutine. It ends with the content, or when the target takes no more, the client sends no more, or
// stopUpload wants it. A fault of the client's ends the connection to the target: that wakes the owner.
func (f *flow) send(u *upstream.Conn, use uint64) {
	defer close(f.uploading)
	c := f.c
	for !f.uploaded {
		if c.in.empty() {
			if err := c.fill(f.patience()); err != nil {
				if !errors.Is(err, errStopped) {
					f.blame(err)
					u.Kill(use)
				}
				return
			}
		}
		out, err := f.relay()
		if err != nil {
			f.blame(err)
			u.Kill(use)
			return
		}
		if len(out) == 0 {
			continue // a part of a line between chunks
		}
		f.final.Store(f.uploaded)
		blocked := c.server.now()
		if _, err := u.Write(out); err != nil { // it may have answered, which the owner sees
			if errors.Is(err, os.ErrDeadlineExceeded) {
				f.stuck.Store(true)
				u.Kill(use)
			}
			return
		}
		f.begun += c.server.now() - blocked
	}
}

// patience is until when the next bytes of content have to come: some, and enough on the whole; 0 for ever.
func (f *flow) patience() int64 {
	b := f.x.Bounds
	if b.Upload <= 0 {
		return 0
	}
	at := f.c.server.now() + int64(b.Upload)
	if b.Rate > 0 {
		at = min(at, f.begun+int64(b.Upload)+f.received.Load()*1e9/b.Rate)
	}
	return at
}

// tooMuch reports whether more content has come than the request may have.
func (f *flow) tooMuch() bool {
	return f.x.Bounds.Content > 0 && f.received.Load() > f.x.Bounds.Content
}

// blame notes what is wrong with the client.
func (f *flow) blame(err error) {
	var e *http1.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		r := slowBody
		f.fault = &r
	case errors.Is(err, io.EOF):
		r := refusalOf(f.content.Truncated())
		f.fault = &r
	case errors.As(err, &e):
		r := e.Refusal()
		f.fault = &r
	default:
		f.gone = true
	}
}

// relay takes what is content of what has come, keeps it while it fits, and returns it as the target gets it.
func (f *flow) relay() ([]byte, error) {
	in := &f.c.in
	w := f.spill[:0]
	for !f.uploaded && !in.empty() {
		piece, n, done, err := f.content.Next(in.bytes())
		if err != nil {
			return nil, err
		}
		in.skip(n)
		f.received.Add(int64(len(piece)))
		if f.tooMuch() {
			return nil, http1.ErrBodyTooLarge
		}
		f.uploaded = done
		if !f.chunked && f.lost { // as it came, and nothing behind it: it is all that can be taken now
			return piece, nil
		}
		w = f.frame(w, piece, done)
		if n == 0 {
			break
		}
	}
	f.spill = w
	if f.lost = f.lost || len(f.kept)+len(w) > f.x.Keep; !f.lost {
		f.kept = append(f.kept, w...)
	}
	return w, nil
}
