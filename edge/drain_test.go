package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"semper"
	"semper/edge/control"
	"semper/edge/ledger"
)

// shared is a listening socket as a keeper holds it: each edge gets a descriptor of its own.
type shared struct {
	*os.File
	addr string
}

func share(t *testing.T) shared {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()                          //nolint:errcheck // the file has it
	t.Cleanup(func() { file.Close() }) //nolint:errcheck // a test's
	return shared{file, l.Addr().String()}
}

func (s shared) serve(t *testing.T, e *Edge) {
	t.Helper()
	l, err := net.FileListener(s.File)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(l, false) }()
	t.Cleanup(func() {
		e.Close() //nolint:errcheck // reported elsewhere
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// TestAnEdgeIsReplacedWithoutAFailedRequest, five times in a row, under keep-alive and new connections,
// each edge on its own descriptor of one socket. Nothing is retried by the clients.
func TestAnEdgeIsReplacedWithoutAFailedRequest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := share(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	tab := semper.Table{Epoch: 1, Routes: []semper.Route{{Path: "/", Pool: webPool}}, Pools: []semper.Pool{{Key: webPool, App: "bar", Release: "r1", Backend: []semper.Backend{a.Backend}}}}
	boot := func(id string) *Edge {
		e, err := New(Options{ID: id, Dir: dir, Driver: driver})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() }) //nolint:errcheck // a test's
		e.grace = time.Hour             // its clients all ask again, however slow the machine
		if err := e.Apply(tab); err != nil {
			t.Fatal(err)
		}
		socket.serve(t, e)
		return e
	}
	edge := boot("edge-1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var answers atomic.Int64
	for i := range 16 {
		wg.Go(func() {
			tr := &http.Transport{DisableKeepAlives: i%4 == 0}
			defer tr.CloseIdleConnections()
			for ctx.Err() == nil {
				// POST: neither the transport nor anybody else sends it twice.
				req, err := http.NewRequest(http.MethodPost, "http://"+socket.addr+"/", http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Errorf("after %d: %v", answers.Load(), err)
					return
				}
				if b := drainBody(t, resp); b != "r1 r1 r1" {
					t.Errorf("%s %q", resp.Status, b)
					return
				}
				answers.Add(1)
			}
		})
	}
	for n := range 5 {
		at := answers.Load()
		next := boot([]string{"edge-2", "edge-1"}[n%2])
		if err := edge.Drain(t.Context()); err != nil {
			t.Errorf("drain: %v", err)
		}
		if err := edge.Close(); err != nil {
			t.Error(err)
		}
		edge = next
		eventually(t, "traffic goes on", func() bool { return answers.Load() > at+100 || t.Failed() })
	}
	cancel()
	wg.Wait()
	if err := edge.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	edge.Close() //nolint:errcheck // reported elsewhere
	files, err := ledger.Read(dir)
	if err != nil || len(files) != 6 {
		t.Fatalf("%d ledgers, %v", len(files), err)
	}
	var sum semper.Ledger
	for _, f := range files {
		sum = sum.Add(f.Settle()[Key{App: "bar", Release: "r1"}])
	}
	if sum.Accepted != sum.Served || sum.Served != uint64(answers.Load()) {
		t.Errorf("%d answers, ledgers %+v", answers.Load(), sum)
	}
}

// TestDrainFinishesWhatItHas, tells who asks within the grace of idle connections, and waits for nothing else.
func TestDrainFinishesWhatItHas(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.grace = time.Hour
	arrived, release := make(chan struct{}), make(chan struct{})
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
		io.WriteString(w, "done") //nolint:errcheck // the client checks
	}))
	f.table(1, nil, a.Backend)
	idle := client(t)
	get(t, idle, f.url("/"))
	slow := make(chan string, 1)
	go func() {
		resp, err := client(t).Get(f.url("/slow"))
		if err != nil {
			slow <- err.Error()
			return
		}
		b, _ := io.ReadAll(resp.Body) //nolint:errcheck // compared
		resp.Body.Close()             //nolint:errcheck // read
		slow <- string(b) + resp.Header.Get("Connection") + map[bool]string{true: "close"}[resp.Close]
	}()
	<-arrived
	drained := make(chan error, 2)
	for range 2 {
		go func() { drained <- f.Drain(t.Context()) }()
	}
	eventually(t, "draining", func() bool { return f.State().Draining })
	eventually(t, "no connection is taken", func() bool {
		c, err := net.Dial("tcp", f.addr)
		if err == nil {
			c.Close() //nolint:errcheck // it came in the moment before
		}
		return err != nil
	})
	resp, _ := get(t, idle, f.url("/")) // within its grace
	if !resp.Close {
		t.Error("an answer while draining does not say close")
	}
	select {
	case err := <-drained:
		t.Fatalf("drained with a request under way: %v", err)
	default:
	}
	close(release)
	if s := <-slow; s != "doneclose" {
		t.Errorf("got %q", s)
	}
	for range 2 {
		if err := <-drained; err != nil {
			t.Error(err)
		}
	}
	<-f.Done()
	if got := f.ledger(1); got != (semper.Ledger{Accepted: 3, Served: 3}) {
		t.Errorf("%+v", got)
	}
}

// TestDrainHasAnEnd: its deadline cuts what is left, tunnels with a Close frame.
func TestDrainHasAnEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	closes := make(chan websocket.StatusCode, 1)
	arrived := make(chan struct{})
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			wsEcho(t, closes)(w, r)
			return
		}
		close(arrived)
		<-r.Context().Done()
	}))
	f.table(1, nil, a.Backend)
	ws := dialWS(t, f)
	status := make(chan int, 1)
	go func() {
		resp, err := client(t).Get(f.url("/"))
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		resp.Body.Close() //nolint:errcheck // not wanted
		status <- resp.StatusCode
	}()
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := f.Drain(ctx); semper.CodeOf(err) != semper.Timeout {
		t.Errorf("drain: %v", err)
	}
	if s := <-status; s != 503 {
		t.Errorf("the request got %d", s)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != 1012 {
		t.Errorf("the client: %v", err)
	}
	if code := <-closes; code != websocket.StatusGoingAway {
		t.Errorf("the backend: %d", code)
	}
	if got := f.ledger(1); got != (semper.Ledger{Accepted: 2, Cut: 2}) {
		t.Errorf("%+v", got)
	}
}

func TestCloseCutsEverything(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	arrived := make(chan struct{})
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	f.table(1, func(tab *semper.Table) {
		holding(true, semper.HoldLimits{})(tab)
	}, a.Backend)
	_, running := rawRequest(t, f, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	_, held := rawRequest(t, f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
	eventually(t, "held", func() bool { return f.State().Held[webPool] == 1 })
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	for _, br := range []*bufio.Reader{running, held} {
		io.Copy(io.Discard, br) //nolint:errcheck // its end
	}
	l := f.ledger(1)
	if l.Accepted != 2 || l.Cut+l.Gone != 2 {
		t.Errorf("%+v", l)
	}
	if err := f.Apply(semper.Table{Epoch: 100}); semper.CodeOf(err) != semper.Unavailable {
		t.Error(err)
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, nil, a.Backend)
	get(t, client(t), f.url("/"))
	f.settled(1)
	s := httptest.NewServer(f.Control())
	t.Cleanup(s.Close)
	var state semper.EdgeState
	ask := func(method, path string, want int, into any) {
		t.Helper()
		req, err := http.NewRequest(method, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b := drainBody(t, resp)
		if resp.StatusCode != want {
			t.Errorf("%s %s: %s %s", method, path, resp.Status, b)
		}
		if err := json.Unmarshal([]byte(b), into); err != nil {
			t.Errorf("%s: %v in %s", path, err, b)
		}
	}
	ask("GET", "/v1/state", 200, &state)
	if state.ID != "edge-1" || state.PID != os.Getpid() || state.Epoch != 1 {
		t.Errorf("%+v", state)
	}
	var e semper.Error
	ask("GET", "/v1/wait?epoch=x", 400, &e)
	ask("POST", "/v1/drain?timeout=soon", 400, &e)
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		var s semper.EdgeState
		ask("GET", "/v1/wait?epoch=2", 200, &s)
		if s.Epoch != 2 {
			t.Errorf("waited for 2, got %d", s.Epoch)
		}
	}()
	f.table(1, nil, a.Backend)
	<-waited
	var lines []control.Entry
	ask("GET", "/v1/ledger", 200, &lines)
	if len(lines) != 1 || lines[0].App != "bar" || lines[0].Release != "r1" || lines[0].Served != 1 {
		t.Errorf("%+v", lines)
	}
	ask("POST", "/v1/drain?timeout=10s", 202, &state)
	<-f.Done()
	ask("GET", "/v1/state", 200, &state)
	if !state.Draining {
		t.Errorf("%+v", state)
	}
}

// TestTLSAndHTTP2 serve the same, and a drain tells them too.
func TestTLSAndHTTP2(t *testing.T) {
	t.Parallel()
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	t.Cleanup(cert.Close)
	f := newFixture(t, func(o *Options) { o.TLS = &tls.Config{Certificates: cert.TLS.Certificates} })
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)                                                    //nolint:errcheck // compared
		io.WriteString(w, r.Header.Get("X-Forwarded-Proto")+" "+r.Host+" "+string(b)) //nolint:errcheck // the client checks
	}))
	f.table(1, nil, a.Backend)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.Serve(l, true) }()
	roots := x509.NewCertPool()
	roots.AddCert(cert.Certificate())
	for _, h2 := range []bool{true, false} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}, ForceAttemptHTTP2: h2}
		defer tr.CloseIdleConnections()
		req, err := http.NewRequest(http.MethodPost, "https://"+l.Addr().String()+"/", io.MultiReader(io.LimitReader(zeros{}, 3)))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "example.com"
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b := drainBody(t, resp)
		if b != "https example.com \x00\x00\x00" || resp.ProtoMajor != map[bool]int{true: 2, false: 1}[h2] || resp.Header.Get("X-Semper-Release") != "r1" {
			t.Errorf("%s %q %v", resp.Proto, b, resp.Header)
		}
	}
	if err := f.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
