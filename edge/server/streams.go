package server

import (
	"net/http"
	"time"
)

// streams are the requests of HTTP/2, each in a goroutine of package http2, for which Close waits.
type streams Server

// ServeHTTP implements http.Handler.
func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !(*Server)(s).enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.works.Done()
	if bad := (*Server)(s).examine(r); bad != nil {
		(*Server)(s).refuse(w, r, *bad)
		return
	}
	if r.ContentLength != 0 {
		r.Body = &streamBody{r.Body, r}
	}
	s.o.Handler.ServeHTTP(&streamWriter{ResponseWriter: w, deal: http.NewResponseController(w), patience: s.o.Write}, r)
}

// A streamWriter resets a stream whose client takes nothing of its response: one that opens no window holds what waits for
// it for ever.
type streamWriter struct {
	http.ResponseWriter
	deal     *http.ResponseController
	patience time.Duration
	armed    time.Time
	user     bool // a handler has set a deadline of its own
}

// Unwrap is for http.ResponseController.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *streamWriter) arm() {
	if now := time.Now(); !w.user && now.Sub(w.armed) > w.patience/8 {
		w.armed = now
		w.deal.SetWriteDeadline(now.Add(w.patience + w.patience/8)) //nolint:errcheck // a stream that is gone says so in the write
	}
}

// Write implements http.ResponseWriter.
func (w *streamWriter) Write(p []byte) (int, error) {
	w.arm()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *streamWriter) Flush() { w.FlushError() } //nolint:errcheck // the next Write says so

// FlushError is what http.ResponseController asks for.
func (w *streamWriter) FlushError() error {
	w.arm()
	return w.deal.Flush()
}

// SetWriteDeadline takes the place of the rule for clients that take nothing, until it is set to the zero time.
func (w *streamWriter) SetWriteDeadline(t time.Time) error {
	w.user, w.armed = !t.IsZero(), time.Time{}
	return w.deal.SetWriteDeadline(t)
}
