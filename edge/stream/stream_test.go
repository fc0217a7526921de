package stream

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/edge/http1"
)

// A stuck writer takes nothing until its deadline has passed.
type stuck struct {
	*httptest.ResponseRecorder
	free      chan struct{}
	deadlines chan time.Time
}

func (w *stuck) Write(p []byte) (int, error) {
	<-w.free
	return 0, io.ErrClosedPipe
}

func (w *stuck) SetWriteDeadline(t time.Time) error {
	w.deadlines <- t
	if t.Before(time.Now()) {
		close(w.free)
	}
	return nil
}

func streams(patience time.Duration, h http.HandlerFunc) *Streams {
	return New(Options{Handler: h, Limits: &http1.Default, Write: patience, Date: func() []byte { return []byte("Thu, 01 Jan 1970 00:00:00 GMT") }})
}

// TestAClientThatTakesNothingIsReset, and one that is sent nothing is not.
func TestAClientThatTakesNothingIsReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		talk, failed := make(chan struct{}), make(chan error, 1)
		s := streams(time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			<-talk
			_, err := w.Write([]byte("x"))
			failed <- err
		})
		w := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan time.Time, 4)}
		done := make(chan struct{})
		go func() { s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil)); close(done) }()
		time.Sleep(time.Hour)
		if s.Sweep(); len(w.deadlines) > 0 {
			t.Error("a silent stream was ended")
		}
		close(talk)
		time.Sleep(59 * time.Second)
		if s.Sweep(); len(w.deadlines) > 0 {
			t.Error("the client had time left")
		}
		time.Sleep(2 * time.Second)
		s.Sweep()
		if err := <-failed; err == nil {
			t.Error("the write went through")
		}
		if at := <-w.deadlines; !at.Equal(past) {
			t.Errorf("the deadline is %v", at)
		}
		<-done
		if at := <-w.deadlines; time.Until(at) != time.Minute {
			t.Errorf("what is left to send has until %v", at)
		}
		if s.first != nil {
			t.Error("the stream is still known")
		}
	})
}

// TestEachRouteSaysHowLongAClientMayTakeNothing, or that it may for ever.
func TestEachRouteSaysHowLongAClientMayTakeNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patience time.Duration // the route's
		ended    time.Duration // 0: it is not
	}{"sooner": {2 * time.Second, 3 * time.Second}, "later": {2 * time.Minute, 121 * time.Second}, "off": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := streams(time.Minute, func(w http.ResponseWriter, _ *http.Request) {
					w.(*writer).SetPatience(c.patience)
					w.Write([]byte("x"))
				})
				w := &stuck{httptest.NewRecorder(), make(chan struct{}), make(chan time.Time, 4)}
				done := make(chan struct{})
				began := time.Now()
				go func() { s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil)); close(done) }()
				for len(w.deadlines) == 0 && time.Since(began) < time.Hour {
					time.Sleep(time.Second)
					s.Sweep()
				}
				took := time.Since(began)
				if c.ended == 0 {
					w.SetWriteDeadline(past) // it would wait for ever
					c.ended = time.Hour
				}
				if took != c.ended {
					t.Errorf("ended after %v, not %v", took, c.ended)
				}
				<-done
			})
		})
	}
}

// TestWhatHTTP1WouldRefuse is refused, and with the same status.
func TestWhatHTTP1WouldRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(r *http.Request)
		status int
	}{
		"ordinary":       {func(*http.Request) {}, 200},
		"space in path":  {func(r *http.Request) { r.RequestURI = "/a b" }, 400},
		"dots":           {func(r *http.Request) { r.RequestURI = "/%2e%2e/admin" }, 400},
		"method":         {func(r *http.Request) { r.Method = "GE T" }, 400},
		"host":           {func(r *http.Request) { r.Host = "a b" }, 400},
		"value":          {func(r *http.Request) { r.Header["X"] = []string{"a\r\nb"} }, 400},
		"spaces":         {func(r *http.Request) { r.Header["X"] = []string{" a"} }, 400},
		"length":         {func(r *http.Request) { r.Header["Content-Length"] = []string{"+5"} }, 400},
		"no content":     {func(r *http.Request) { r.Header["Content-Length"] = []string{"5"} }, 400},
		"many fields":    {func(r *http.Request) { r.Header["X"] = make([]string, 200) }, 431},
		"tunnel":         {func(r *http.Request) { r.Method, r.RequestURI = http.MethodConnect, "a:443" }, 405},
		"other protocol": {func(r *http.Request) { r.Method, r.ProtoMajor, r.Proto = http.MethodConnect, 3, "connect-udp" }, 501},
		"long target":    {func(r *http.Request) { r.RequestURI = "/" + strings.Repeat("a", 40<<10) }, 414},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reached := false
			s := streams(time.Minute, func(http.ResponseWriter, *http.Request) { reached = true })
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.ProtoMajor, r.Proto = 2, "HTTP/2.0"
			c.change(r)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != c.status || reached != (c.status == 200) {
				t.Errorf("%d, and the handler was reached: %v", w.Code, reached)
			}
		})
	}
}
