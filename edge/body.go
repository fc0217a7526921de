package edge

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// replayLimit is how much of a request's body is kept to send it again.
	replayLimit = 64 << 10
	// bodyIdle is how long a client may send nothing in the middle of a body.
	bodyIdle = time.Minute
	// lingerRead is what is left to a client for the rest of a body nobody needs.
	lingerRead = 5 * time.Second
)

var (
	errNotReplayable = errors.New("more of the body was sent than is kept")
	errReaderClosed  = errors.New("this reading of the body is over")
)

// A body is a request's body that more than one attempt may read, one after the other: each from the
// beginning, as long as what was read so far is kept.
type body struct {
	src  io.Reader
	deal *http.ResponseController // for the read deadline
	r    *http.Request            // for its trailers

	lost  atomic.Bool // more was read than is kept
	over  atomic.Bool // the handler has returned, or is about to
	fault atomic.Pointer[error]

	fetched chan struct{} // closed when fetch has ended; the handler's

	mu    sync.Mutex // guards what follows; held during a read of src
	kept  []byte
	total int64
	err   error // of src, for good
	armed time.Time
	trail http.Header // of the outbound request, filled at the end
}

// newBody is the body of r, nil when it has none.
func newBody(w http.ResponseWriter, r *http.Request) *body {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	b := &body{src: r.Body, deal: http.NewResponseController(w), r: r}
	if r.ProtoMajor == 1 {
		b.deal.EnableFullDuplex() //nolint:errcheck // else an early answer waits for the rest of the body
	}
	if len(r.Trailer) > 0 {
		b.trail = make(http.Header, len(r.Trailer))
		for k := range r.Trailer {
			if trailerAllowed(k) {
				b.trail[k] = nil
			}
		}
	}
	return b
}

// trailerAllowed keeps what frames, routes or authorises a message out of its end (RFC 9110, 6.5.1).
func trailerAllowed(k string) bool {
	switch k {
	case "Host", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Authorization", "Cookie", "Set-Cookie",
		"Expect", "Max-Forwards", "Range", "Cache-Control", "Age", "Date", "Location", "Retry-After", "Vary", "Www-Authenticate", "Proxy-Authenticate":
		return false
	}
	return !hopByHop(k) && !forwarded(k) && !alias(k)
}

// replayable reports whether a further attempt can have the whole of it.
func (b *body) replayable() bool { return b == nil || !b.lost.Load() }

// failure is what was wrong with the client's side of it, nil for nothing.
func (b *body) failure() error {
	if b == nil {
		return nil
	}
	if p := b.fault.Load(); p != nil {
		return *p
	}
	return nil
}

// fetch begins to read ahead into what is kept, until that is full or the body ends. While a request
// is held this is what notices that its client went away.
func (b *body) fetch() {
	if b == nil || b.fetched != nil {
		return
	}
	b.fetched = make(chan struct{})
	go func() { // waited for by finish
		defer close(b.fetched)
		p := make([]byte, 8<<10)
		r := &reading{body: b, ahead: true}
		for {
			if _, err := r.Read(p); err != nil {
				return
			}
		}
	}()
}

// finish ends every reading; the handler is about to return. It reports whether the body was read to
// its end. Where it was not, the connection must not take another request: nobody knows where that
// would begin.
func (b *body) finish() bool {
	b.over.Store(true)
	if !b.mu.TryLock() {
		b.deal.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // then the read ends with the client
		b.mu.Lock()
	}
	whole := errors.Is(b.err, io.EOF)
	b.mu.Unlock()
	if b.fetched != nil {
		<-b.fetched
	}
	if !whole { // the server reads some of the rest away; not for ever
		b.deal.SetReadDeadline(time.Now().Add(lingerRead)) //nolint:errcheck // best effort
	}
	return whole
}

// A reading is one attempt's way through a body.
type reading struct {
	body   *body
	at     int64
	ahead  bool // must not read beyond what is kept
	closed atomic.Bool
}

// Read takes from what is kept first.
func (r *reading) Read(p []byte) (int, error) {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.closed.Load() || b.over.Load():
		return 0, errReaderClosed
	case len(p) == 0:
		return 0, nil
	case r.at < b.total && b.lost.Load():
		return 0, errNotReplayable
	case r.at < b.total:
		n := copy(p, b.kept[r.at:])
		r.at += int64(n)
		return n, nil
	case b.err != nil:
		return 0, b.err
	case r.ahead && len(b.kept) >= replayLimit:
		return 0, errReaderClosed
	case r.ahead:
		p = p[:min(len(p), replayLimit-len(b.kept))]
	}
	n, err := b.readLocked(p)
	r.at += int64(n)
	return n, err
}

// Buffered is how much a Read would bring without waiting.
func (r *reading) Buffered() int {
	b := r.body
	if !b.mu.TryLock() {
		return 0
	}
	defer b.mu.Unlock()
	return int(max(b.total-r.at, 0))
}

// Close ends this reading, not the body.
func (r *reading) Close() error {
	r.closed.Store(true)
	return nil
}

func (b *body) readLocked(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.armed) > bodyIdle/8 {
		b.armed = now
		b.deal.SetReadDeadline(now.Add(bodyIdle)) //nolint:errcheck // a connection without deadlines has none
	}
	n, err := b.src.Read(p)
	if n > 0 {
		b.total += int64(n)
		switch {
		case b.lost.Load():
		case len(b.kept)+n > replayLimit:
			b.lost.Store(true)
			b.kept = nil
		default:
			b.kept = append(b.kept, p[:n]...)
		}
	}
	if err != nil {
		b.finishLocked(err)
	}
	return n, err
}

func (b *body) finishLocked(err error) {
	b.err = err
	if !errors.Is(err, io.EOF) {
		b.fault.CompareAndSwap(nil, &err)
		return
	}
	b.deal.SetReadDeadline(time.Time{}) //nolint:errcheck // a connection without deadlines has none
	for k := range b.trail {
		b.trail[k] = b.r.Trailer[k]
	}
}

// slow reports whether err is the client's silence.
func slow(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// complete reports whether all of it has been read.
func (b *body) complete() bool {
	if !b.mu.TryLock() { // somebody still reads
		return false
	}
	defer b.mu.Unlock()
	return errors.Is(b.err, io.EOF)
}
