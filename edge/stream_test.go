package edge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/edge/message"
)

// TestPiecesArriveAsTheyAreSent: an event stream, an answer of unknown length, and a slow one of known
// length: each piece reaches the client before the next one is written.
func TestPiecesArriveAsTheyAreSent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	next := make(chan struct{})
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		switch r.URL.Path {
		case "/sse":
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		case "/known":
			w.Header().Set("Content-Length", "18")
		}
		c := http.NewResponseController(w)
		c.Flush() //nolint:errcheck // the client checks
		for i := range 3 {
			<-next
			fmt.Fprintf(w, "data%d\n", i)
			c.Flush() //nolint:errcheck // the client checks
		}
	}))
	f.table(1, nil, a.Backend)
	for _, path := range []string{"/sse", "/unknown", "/known"} {
		first := 0
		if path == "/known" { // the head of an answer of known length goes with its first piece
			first = 1
			go func() { next <- struct{}{} }()
		}
		resp, err := client(t).Get(f.url(path)) // returns with the head: nothing is written yet
		if err != nil {
			t.Fatal(err)
		}
		class := semper.ClassRequest
		if path == "/sse" {
			class = semper.ClassStream
		}
		if got := f.State().InFlight[a.ID]; got[class] != 1 || got.Total() != 1 {
			t.Errorf("%s: in flight %v", path, got)
		}
		br := bufio.NewReader(resp.Body)
		for i := range 3 {
			if i >= first {
				next <- struct{}{}
			}
			if line, err := br.ReadString('\n'); err != nil || line[:5] != fmt.Sprintf("data%d", i) {
				t.Fatalf("%s: %q %v", path, line, err)
			}
		}
		drainBody(t, resp)
		f.settled(1) // its client may know that it is over before it is counted as over
	}
	if l := f.settled(1); l.Served != 3 {
		t.Errorf("%+v", l)
	}
}

func TestEarlyHintsAndTrailers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Set("Trailer", "X-Sum")
		b, _ := io.ReadAll(r.Body) //nolint:errcheck // the client checks
		w.Write(b)                 //nolint:errcheck // the client checks
		w.Header().Set("X-Sum", r.Trailer.Get("X-Len")+"/"+r.Trailer.Get("Authorization"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "yes")
	}))
	f.table(1, nil, a.Backend)
	var hints []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, h.Get("Link"), h.Get("X-Semper-Release")))
		return nil
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url("/"), io.MultiReader(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-Len": {"5"}, "Authorization": {"stolen"}}
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if b := drainBody(t, resp); b != "hello" || resp.Header.Get("Link") != "" {
		t.Errorf("%q %v", b, resp.Header)
	}
	if len(hints) != 1 || hints[0] != "103</a.css>; rel=preload" {
		t.Errorf("hints %q", hints)
	}
	if resp.Trailer.Get("X-Sum") != "5/" || resp.Trailer.Get("X-Late") != "yes" {
		t.Errorf("trailers %v", resp.Trailer)
	}
}

func TestAFloodOfEarlyAnswersIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.table(1, nil, startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		for range 100_000 {
			if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n"); err != nil {
				return
			}
		}
	}))
	req, err := http.NewRequest(http.MethodPost, f.url("/"), strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{MaxResponseHeaderBytes: 1 << 20}
	defer tr.CloseIdleConnections()
	n := 0
	req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { n++; return nil }}))
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	drainBody(t, resp)
	if resp.StatusCode != http.StatusBadGateway || n != message.MaxEarly {
		t.Errorf("%s after %d", resp.Status, n)
	}
}

// TestUploadsAndDownloadsAreStreamedWhole in both directions at once, without being kept anywhere.
func TestUploadsAndDownloadsAreStreamedWhole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "unix", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex() //nolint:errcheck // the client checks
		w.WriteHeader(200)
		io.Copy(w, r.Body) //nolint:errcheck // the client checks
	}))
	f.table(1, nil, a.Backend)
	seed := [32]byte{1}
	const size = 5<<20 + 17
	for _, known := range []bool{true, false} {
		req, err := http.NewRequest(http.MethodPost, f.url("/"), io.LimitReader(rand.NewChaCha8(seed), size))
		if err != nil {
			t.Fatal(err)
		}
		if known {
			req.ContentLength = size
		}
		resp, err := client(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, want := sha256.New(), sha256.New()
		n, err := io.Copy(got, resp.Body)
		resp.Body.Close()                                          //nolint:errcheck // read
		io.Copy(want, io.LimitReader(rand.NewChaCha8(seed), size)) //nolint:errcheck // memory
		if err != nil || n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	if l := f.settled(1); l.Served != 2 {
		t.Errorf("%+v", l)
	}
}

// TestAnAnswerThatBreaksOffIsNeverTakenForWhole.
func TestAnAnswerThatBreaksOffIsNeverTakenForWhole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense",
	} {
		f.table(i+1, nil, startRaw(t, func(c net.Conn, _ *bufio.Reader) { io.WriteString(c, head) })) //nolint:errcheck // and gone
		resp, err := client(t).Post(f.url("/"), "", nil)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close() //nolint:errcheck // read
		}
		if err == nil {
			t.Errorf("%q was taken for whole", head)
		}
		if got, want := f.settled(i+1), (semper.Ledger{Accepted: 1, EdgeErrors: 1}); got != want {
			t.Errorf("%q: got %+v, want %+v", head, got, want)
		}
	}
}

func TestAnswersThatAreNotHTTP(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
		"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
		"SSH-2.0-OpenSSH\r\n",
		"",
	} {
		f.table(i+1, nil, startRaw(t, func(c net.Conn, _ *bufio.Reader) { io.WriteString(c, head) })) //nolint:errcheck // and gone
		resp, err := client(t).Post(f.url("/"), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		drainBody(t, resp)
		if resp.StatusCode != http.StatusBadGateway || resp.Header.Get("X-Semper-Error") == "" {
			t.Errorf("%q: %s %v", head, resp.Status, resp.Header)
		}
	}
}

// TestAnEarlyAnswerNeedNotWaitForTheBody, and the connection takes no further request.
func TestAnEarlyAnswerNeedNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.table(1, nil, startRaw(t, func(c net.Conn, br *bufio.Reader) {
		io.WriteString(c, "HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno") //nolint:errcheck // the client checks
		io.Copy(io.Discard, br)                                                   //nolint:errcheck // its end
	}))
	c, br := rawRequest(t, f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbegin")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 413 {
		t.Fatalf("%v %v", resp, err)
	}
	if b := drainBody(t, resp); b != "no" {
		t.Errorf("%q", b)
	}
	io.WriteString(c, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n") //nolint:errcheck // part of the body, or nothing
	if resp, err := http.ReadResponse(br, nil); err == nil {
		t.Errorf("the rest of a body was answered: %s", resp.Status)
	}
	eventually(t, "counted", func() bool { return f.ledger(1).Served == 1 })
}

// TestRequestsAreCutAtTheirDeadline: those that have no answer get one that says so, streams end.
func TestRequestsAreCutAtTheirDeadline(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	arrived := make(chan struct{}, 2)
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sse" {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: 1\n\n")      //nolint:errcheck // the client checks
			http.NewResponseController(w).Flush() //nolint:errcheck // the client checks
		}
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	two := start(t, "tcp", "web.r2.1", says(2))
	f.table(1, nil, a.Backend)
	answers := make(chan *http.Response, 1)
	go func() {
		resp, err := client(t).Get(f.url("/"))
		if err != nil {
			t.Error(err)
			resp = &http.Response{Body: http.NoBody}
		}
		answers <- resp
	}()
	stream, err := client(t).Get(f.url("/sse"))
	if err != nil {
		t.Fatal(err)
	}
	<-arrived
	<-arrived
	f.table(2, draining(1, time.Now().Add(50*time.Millisecond), a.ID), two.Backend)
	resp := <-answers
	drainBody(t, resp)
	if resp.StatusCode != 503 || resp.Header.Get("X-Semper-Error") != "cut" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if b := drainBody(t, stream); b != "data: 1\n\n" {
		t.Errorf("stream ended with %q", b)
	}
	if got, want := f.settled(1), (semper.Ledger{Accepted: 2, Cut: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAClientThatGoesAwayFreesTheBackend(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	arrived, freed := make(chan struct{}), make(chan struct{})
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		close(freed)
	}))
	f.table(1, nil, a.Backend)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := abrupt(t).Do(req); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-freed
	if got, want := f.settled(1), (semper.Ledger{Accepted: 1, Gone: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestDrainClosesIdleConnections when their grace is over.
func TestDrainClosesIdleConnections(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.grace = time.Millisecond
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, nil, a.Backend)
	_, br := rawRequest(t, f, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.Close {
		t.Fatalf("%v %v", resp, err)
	}
	drainBody(t, resp)
	if err := f.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if b, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection after the drain: %q %v", b, err)
	}
}
