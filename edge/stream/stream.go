package stream

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/http1"
)

// Options say what Streams are made of. All but AltSvc is needed.
type Options struct {
	Handler http.Handler
	Limits  *http1.Limits
	Write   time.Duration // in which a client has to take some of its answer
	Date    func() []byte // of now, as http1.AppendDate makes it
	AltSvc  string        // the field of each answer (RFC 7838); empty for none
}

// Streams is the http.Handler of a server of HTTP/2 or HTTP/3. It may be called from any goroutine.
type Streams struct {
	o Options

	mu    sync.Mutex // guards what follows, and is held while another goroutine uses a writer
	first *writer    // linked
}

// New makes Streams. Whoever does calls Sweep now and then.
func New(o Options) *Streams { return &Streams{o: o} }

// ServeHTTP implements http.Handler.
func (s *Streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.o.AltSvc != "" {
		w.Header()["Alt-Svc"] = []string{s.o.AltSvc}
	}
	t := &writer{ResponseWriter: w, deal: http.NewResponseController(w), r: r}
	t.SetPatience(s.o.Write)
	if bad := s.examine(r); bad != nil {
		s.refuse(w, r, *bad)
		s.limit(t)
		return
	}
	if t.socket = upgrade(r); t.socket == nil && r.ContentLength != 0 {
		r.Body = &body{r.Body, r, r.ContentLength}
	}
	s.add(t)
	defer s.remove(t)
	s.o.Handler.ServeHTTP(t, r)
	if t.conn != nil {
		t.conn.wait()
	}
	s.limit(t)
}

// limit bounds how long the client may take for what is left to send when a handler has returned.
func (s *Streams) limit(w *writer) {
	if d := w.patience.Load(); d > 0 && !w.user.Load() {
		w.deal.SetWriteDeadline(time.Now().Add(time.Duration(d))) //nolint:errcheck // a stream that is gone says so in the write
	}
}

func (s *Streams) add(w *writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.next = s.first; w.next != nil {
		w.next.prev = w
	}
	s.first = w
}

func (s *Streams) remove(w *writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		s.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
}

// Sweep resets the streams whose clients have taken nothing for too long.
func (s *Streams) Sweep() {
	now := time.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := s.first; w != nil; w = w.next {
		if w.late(now) {
			w.deal.SetWriteDeadline(past) //nolint:errcheck // a stream that is gone says so in the write
		}
	}
}

var past = time.Unix(1, 0)

// A writer knows since when a client has taken nothing of what it is sent.
type writer struct {
	http.ResponseWriter
	deal   *http.ResponseController
	r      *http.Request
	socket *socket // what the request asks for is one
	conn   *Conn   // what it has become

	began    atomic.Int64 // when the write under way began; 0 for none
	patience atomic.Int64 // how long it may take, in nanoseconds; 0: as long as it likes
	user     atomic.Bool  // a handler has set a deadline of its own

	prev, next *writer // guarded by the mutex of Streams
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// SetPatience implements message.Patient.
func (w *writer) SetPatience(d time.Duration) { w.patience.Store(int64(d)) }

// late reports whether the client has taken nothing for too long.
func (w *writer) late(now int64) bool {
	began, d := w.began.Load(), w.patience.Load()
	return began != 0 && d > 0 && now-began > d && !w.user.Load()
}

func (w *writer) begin() { w.began.Store(time.Now().UnixNano()) }
func (w *writer) end()   { w.began.Store(0) }

// WriteHeader implements http.ResponseWriter. Whoever asks for a WebSocket takes success for one: an answer that is none is
// broken off.
func (w *writer) WriteHeader(status int) {
	if w.socket != nil && w.conn == nil && status/100 == 2 {
		panic(http.ErrAbortHandler)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	w.begin()
	defer w.end()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { w.FlushError() } //nolint:errcheck // the next Write says so

// FlushError is what http.ResponseController asks for.
func (w *writer) FlushError() error {
	w.begin()
	defer w.end()
	return w.deal.Flush()
}

// SetWriteDeadline takes the place of the rule for clients that take nothing, until it is set to the zero time.
func (w *writer) SetWriteDeadline(t time.Time) error {
	w.user.Store(!t.IsZero())
	return w.deal.SetWriteDeadline(t)
}
