// Package replay lets a request's body be read more than once: by one attempt after the other, each from the beginning, as
// long as what was read so far is kept.
package replay

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// linger is what is left to a client for the rest of a body nobody needs.
const linger = 5 * time.Second

// Options are how much of a body there may be, and how long it may take. Zero is no bound but for Keep.
type Options struct {
	Keep  int           // how much is kept to be read again
	Limit int64         // how much there may be
	Idle  time.Duration // in which some of it has to come
	Rate  int64         // bytes a second that have to come on average, once it takes longer than Idle
	// Trailer says which trailer fields may go further.
	Trailer func(name string) bool
}

// ErrTooLarge is the failure of a body beyond its limit, ErrTooSlow of one that does not bring what it has to.
var (
	ErrTooLarge = errors.New("the body is larger than it may be")
	ErrTooSlow  = errors.New("the body comes too slowly")
)

var (
	errNotReplayable = errors.New("more of the body was sent than is kept")
	errReaderClosed  = errors.New("this reading of the body is over")
)

// A Body is a request's body that more than one attempt may read, one after the other: each from the
// beginning, as long as what was read so far is kept.
type Body struct {
	o    Options
	src  io.Reader
	deal *http.ResponseController // for the read deadline
	r    *http.Request            // for its trailers

	lost  atomic.Bool // more was read than is kept
	over  atomic.Bool // the handler has returned, or is about to
	fault atomic.Pointer[error]

	fetched chan struct{} // closed when Fetch has ended; the handler's

	mu    sync.Mutex // guards what follows; held during a read of src
	kept  []byte
	total int64
	err   error       // of src, for good
	ended time.Time   // when the last of it came
	begun time.Time   // the first read, later by the time in which nobody read
	left  time.Time   // the end of the last read
	armed time.Time   // the deadline
	trail http.Header // of the outbound request, filled at the end
}

// New is the body of r, nil when it has none. A nil Body is ready to use.
func New(w http.ResponseWriter, r *http.Request, o Options) *Body {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	b := &Body{o: o, src: r.Body, deal: http.NewResponseController(w), r: r}
	if r.ProtoMajor == 1 {
		b.deal.EnableFullDuplex() //nolint:errcheck // else an early answer waits for the rest of the body
	}
	if len(r.Trailer) > 0 {
		b.trail = make(http.Header, len(r.Trailer))
		for k := range r.Trailer {
			if o.Trailer(k) {
				b.trail[k] = nil
			}
		}
	}
	return b
}

// Read is a reading from the beginning, for an outbound request; the body must not be nil.
func (b *Body) Read() *Reading { return &Reading{body: b} }

// Trailer is that of the outbound request: filled when the body has been read to its end. nil when none was announced.
func (b *Body) Trailer() http.Header { return b.trail }

// Replayable reports whether a further attempt can have the whole of it.
func (b *Body) Replayable() bool { return b == nil || !b.lost.Load() }

// Whole is all of it, where it has ended and is still at hand; it must not be changed. Of a nil Body it is nothing.
func (b *Body) Whole() (content []byte, ok bool) {
	if b == nil {
		return nil, true
	}
	if !b.mu.TryLock() { // somebody reads: it has not ended
		return nil, false
	}
	defer b.mu.Unlock()
	return b.kept, !b.lost.Load() && (errors.Is(b.err, io.EOF) || b.total == b.r.ContentLength)
}

// Failure is what was wrong with the client's side of it, nil for nothing.
func (b *Body) Failure() error {
	if b == nil {
		return nil
	}
	if p := b.fault.Load(); p != nil {
		return *p
	}
	return nil
}

// Received is how much of it has come, for when nobody reads it any more.
func (b *Body) Received() int64 {
	if b == nil || !b.mu.TryLock() {
		return 0
	}
	defer b.mu.Unlock()
	return b.total
}

// little is a body that costs less to keep than to ask for again.
const little = 1 << 10

// Fetch reads a little body ahead while its request waits, which notices that its client sends no more of it. A larger one, or one of
// unknown length, stays with its client.
func (b *Body) Fetch() {
	if b == nil || b.fetched != nil || b.r.ContentLength < 0 || b.r.ContentLength > little {
		return
	}
	b.fetched = make(chan struct{})
	go func() { // waited for by Finish
		defer close(b.fetched)
		p := make([]byte, little)
		r := &Reading{body: b, ahead: true}
		for {
			if _, err := r.Read(p); err != nil {
				return
			}
		}
	}()
}

// Finish ends every reading; the handler is about to return. It reports whether the body was read to
// its end. Where it was not, the connection must not take another request: nobody knows where that
// would begin.
func (b *Body) Finish() bool {
	if b == nil {
		return true
	}
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
		b.deal.SetReadDeadline(time.Now().Add(linger)) //nolint:errcheck // best effort
	}
	return whole
}

// A Reading is one attempt's way through a body.
type Reading struct {
	body   *Body
	at     int64
	ahead  bool // must not read beyond what is kept
	closed atomic.Bool
}

// Read takes from what is kept first.
func (r *Reading) Read(p []byte) (int, error) {
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
	case r.ahead && len(b.kept) >= b.o.Keep:
		return 0, errReaderClosed
	case r.ahead:
		p = p[:min(len(p), b.o.Keep-len(b.kept))]
	}
	n, err := b.readLocked(p)
	r.at += int64(n)
	return n, err
}

// Buffered is how much a Read would bring without waiting.
func (r *Reading) Buffered() int {
	b := r.body
	if !b.mu.TryLock() {
		return 0
	}
	defer b.mu.Unlock()
	return int(max(b.total-r.at, 0))
}

// Close ends this reading, not the body.
func (r *Reading) Close() error {
	r.closed.Store(true)
	return nil
}

func (b *Body) readLocked(p []byte) (int, error) {
	b.armLocked(time.Now())
	n, err := b.src.Read(p)
	b.left = time.Now()
	if n > 0 {
		b.total += int64(n)
		switch {
		case b.o.Limit > 0 && b.total > b.o.Limit:
			n, err = 0, ErrTooLarge
		case b.lost.Load():
		case len(b.kept)+n > b.o.Keep:
			b.lost.Store(true)
			b.kept = nil
		default:
			b.kept = append(b.kept, p[:n]...)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrTooSlow
	}
	if err == nil && b.total == b.r.ContentLength {
		b.ended = time.Now() // nobody may ever ask for the end
	}
	if err != nil {
		b.finishLocked(err)
	}
	return n, err
}

// Ended is when the last of it came; over is false while more may come. Of none, all came at once.
func (b *Body) Ended() (at time.Time, over bool) {
	if b == nil {
		return time.Time{}, true
	}
	if !b.mu.TryLock() { // somebody reads
		return time.Time{}, false
	}
	defer b.mu.Unlock()
	return b.ended, !b.ended.IsZero() || b.err != nil
}

// Since is how long since the end of the body, or since begun where that is later. whole is false while more may come.
func (b *Body) Since(begun time.Time) (d time.Duration, whole bool) {
	end, whole := b.Ended()
	if end.Before(begun) {
		end = begun
	}
	return time.Since(end), whole
}

// Left is how long until it is limit since the end of the body, or since begun where that is later: all of it while more may come.
func (b *Body) Left(begun time.Time, limit time.Duration) time.Duration {
	if d, whole := b.Since(begun); whole {
		return limit - d
	}
	return limit
}

// After calls f, in a goroutine of its own, when limit has passed since the end of the body, or since now where that is later,
// unless it is stopped before. No limit never passes.
func (b *Body) After(limit time.Duration, f func()) (stop func()) {
	if limit <= 0 {
		return func() {}
	}
	begun := time.Now()
	var t *time.Timer
	t = time.AfterFunc(time.Hour, func() {
		if left := b.Left(begun, limit); left > 0 {
			t.Reset(left)
			return
		}
		f()
	})
	t.Reset(limit)
	return func() { t.Stop() }
}

// armLocked sets the deadline of the next read. It is set once in many reads, never too early.
func (b *Body) armLocked(now time.Time) {
	if b.o.Idle <= 0 {
		return
	}
	if b.begun.IsZero() {
		b.begun, b.left = now, now
	}
	b.begun = b.begun.Add(now.Sub(b.left))
	at := now.Add(b.o.Idle)
	if b.o.Rate > 0 {
		due := b.begun.Add(b.o.Idle + time.Duration(float64(b.total)/float64(b.o.Rate)*float64(time.Second)))
		if due.Before(at) {
			at = due
		}
	}
	if late := at.Sub(b.armed); late > b.o.Idle/8 || late < 0 {
		b.armed = at
		b.deal.SetReadDeadline(at) //nolint:errcheck // a connection without deadlines has none
	}
}

func (b *Body) finishLocked(err error) {
	b.err = err
	if b.ended.IsZero() {
		b.ended = time.Now()
	}
	if !errors.Is(err, io.EOF) {
		b.fault.CompareAndSwap(nil, &err)
		return
	}
	b.deal.SetReadDeadline(time.Time{}) //nolint:errcheck // a connection without deadlines has none
	for k := range b.trail {
		b.trail[k] = b.r.Trailer[k]
	}
}

// Complete reports whether all of it has been read; of none, all has.
func (b *Body) Complete() bool {
	if b == nil {
		return true
	}
	if !b.mu.TryLock() { // somebody still reads
		return false
	}
	defer b.mu.Unlock()
	return errors.Is(b.err, io.EOF)
}
