// Package onward passes the content of an answer on to net/http's clients, as it comes.
//
// Each piece is on its way as soon as it is there, so that a stream is one at both ends. A client that does not take its answer, and a
// backend that falls silent, are told apart. It keeps nothing but one buffer while it runs, and knows nothing of where answers come from.
package onward

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// ErrDownstream is the failure of a client that did not take its answer.
var ErrDownstream = errors.New("the client went away")

// Options are how content is passed on.
type Options struct {
	Quiet   *time.Timer   // runs while the backend says nothing; nil: it may for ever
	Silence time.Duration // of Quiet
	Write   time.Duration // in which the client has to take a piece; 0: any
	Tee     io.Writer     // sees each piece; its errors are its own
	Sent    *int64        // of the content, so far
}

// Copy passes the content of resp on to w, of which flush is the controller, and returns when all of it is there. An error is
// [ErrDownstream], or the backend's.
func Copy(w io.Writer, flush *http.ResponseController, resp *http.Response, o Options) error {
	if resp.Body == http.NoBody {
		return nil
	}
	buf := buffers.Get().(*[bufferSize]byte) //nolint:errcheck // nothing else is put there
	defer buffers.Put(buf)
	c := copying{w: w, flush: flush, whole: resp.ContentLength, Options: o}
	for {
		if o.Quiet != nil {
			o.Quiet.Reset(o.Silence)
		}
		n, err := resp.Body.Read(buf[:])
		if o.Quiet != nil {
			o.Quiet.Stop()
		}
		if n > 0 {
			if werr := c.pass(buf[:n], err == nil); werr != nil {
				return errors.Join(ErrDownstream, werr)
			}
		}
		if errors.Is(err, io.EOF) {
			if !c.armed.IsZero() {
				flush.SetWriteDeadline(time.Time{}) //nolint:errcheck // the next answer sets its own
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// copying is one Copy.
type copying struct {
	Options
	w     io.Writer
	flush *http.ResponseController
	whole int64 // how much there will be; negative: it is not known
	total int64
	armed time.Time // when the deadline was set
}

// pass passes one piece on; more says that others may follow.
func (c *copying) pass(piece []byte, more bool) error {
	if c.total > 0 && c.Write > 0 {
		if now := time.Now(); now.Sub(c.armed) > c.Write/8 {
			c.armed = now
			c.flush.SetWriteDeadline(now.Add(c.Write)) //nolint:errcheck // a connection without deadlines has none
		}
	}
	c.total += int64(len(piece))
	*c.Sent = c.total
	c.Tee.Write(piece) //nolint:errcheck // its own
	if _, err := c.w.Write(piece); err != nil {
		return err
	}
	if more && c.total != c.whole {
		return c.flush.Flush()
	}
	return nil
}
