package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/upstream"
)

// fixed is an edge with one target after the other. It passes on what is unusual, and what is asked for below /pass.
type fixed struct {
	targets []*front.Target
	opened  atomic.Int64
	closed  atomic.Int64
	begun   atomic.Int64
	ended   atomic.Int64
	keep    int
	waits   chan func() // what lets a request go that waits; nil: none waits
	hands   bool        // it goes to the handler then

	mu       sync.Mutex
	outcomes []front.Outcome
	failures []front.Failure
}

func (f *fixed) Open(front.Connection) front.Session {
	f.opened.Add(1)
	return &session{edge: f}
}

var testIP = []byte("192.0.2.1")

type session struct {
	edge  *fixed
	tries int
	minor uint8
	meth  http1.Method
	head  []byte
	freed atomic.Bool
}

func (s *session) Begin(x *front.Exchange) front.Action {
	r := x.Request
	switch {
	case r.Unusual&^http1.UnusualVersion&^http1.UnusualExpect != 0 || bytes.HasPrefix(r.Path(), []byte("/pass")):
		return front.Pass
	case string(r.Path()) == "/refuse":
		s.edge.begun.Add(1)
		x.Refusal = http1.Refusal{Status: 404, Word: "no-route", Text: "No app answers here."}
		return front.Refuse
	}
	s.edge.begun.Add(1)
	s.tries, s.minor, s.meth = 0, r.Minor, r.Method
	x.Target, x.Keep = s.edge.targets[0], s.edge.keep
	x.Forward = http1.Forward{Proto: "http", ClientIP: testIP, Via: "semper"}
	if s.edge.waits != nil {
		s.head = bytes.Clone(r.Head())
		s.freed.Store(false)
		w, ticket := x.Waker, x.Ticket
		s.edge.waits <- func() {
			s.freed.Store(true)
			w.Wake(ticket)
		}
		return front.Wait
	}
	return front.Forward
}

func (s *session) Woken(x *front.Exchange) front.Action {
	switch {
	case s.freed.Load() && s.edge.hands:
		s.edge.ended.Add(1) // here
		x.Handover = &front.Handover{Head: s.head, Story: &lost{}}
		return front.Pass
	case s.freed.Load():
		return front.Forward
	}
	return front.Wait
}

func (s *session) Failed(x *front.Exchange, f front.Failure) front.Action {
	s.edge.mu.Lock()
	s.edge.failures = append(s.edge.failures, f)
	s.edge.mu.Unlock()
	s.tries++
	if f.Replayable && (f.Unsent || s.meth.Idempotent()) && f.Kind != front.WasCut && s.tries < 4 {
		x.Target = s.edge.targets[s.tries%len(s.edge.targets)]
		return front.Forward
	}
	x.Refusal = http1.Refusal{Status: 502, Word: "bad-gateway", Text: "The app broke off before it answered."}
	return front.Refuse
}

func (s *session) Head(x *front.Exchange) {
	x.Answer = http1.Answer{Method: s.meth, Minor: s.minor}
	x.Stream = x.Response.EventStream()
}

func (s *session) End(_ *front.Exchange, how front.Outcome) {
	s.edge.ended.Add(1)
	s.edge.mu.Lock()
	defer s.edge.mu.Unlock()
	s.edge.outcomes = append(s.edge.outcomes, how)
}

func (s *session) Close() { s.edge.closed.Add(1) }

// A rig is a server over an edge, with its address.
type rig struct {
	*Server
	edge  *fixed
	addr  string
	pools sync.Map // *front.Target → *upstream.Pool
	head  time.Duration
}

func (r *rig) pool(t *front.Target) *upstream.Pool {
	if p, ok := r.pools.Load(t); ok {
		return p.(*upstream.Pool)
	}
	p := upstream.New(upstream.Options{HeadTimeout: r.head, Dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, t.Network, t.Address)
	}})
	if was, loaded := r.pools.LoadOrStore(t, p); loaded {
		p.Close()
		return was.(*upstream.Pool)
	}
	return p
}

func targetOf(l net.Addr) *front.Target {
	return &front.Target{Network: l.Network(), Address: l.String()}
}

// prepare makes a rig that does not listen yet.
func prepare(t testing.TB, o Options, targets ...*front.Target) *rig {
	t.Helper()
	r := &rig{edge: &fixed{targets: targets, keep: 64 << 10}}
	o.Edge, o.Pool = r.edge, r.pool
	if o.Handler == nil {
		o.Handler = http.HandlerFunc(echo)
	}
	r.Server = New(o)
	t.Cleanup(func() {
		r.Close()
		r.pools.Range(func(_, p any) bool { p.(*upstream.Pool).Close(); return true })
		if n := r.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		if b, e := r.edge.begun.Load(), r.edge.ended.Load(); b != e {
			t.Errorf("%d requests were begun, %d ended", b, e)
		}
		if o, c := r.edge.opened.Load(), r.edge.closed.Load(); o != c {
			t.Errorf("%d sessions were opened, %d closed", o, c)
		}
	})
	return r
}

func start(t testing.TB, o Options, targets ...*front.Target) *rig {
	t.Helper()
	r := prepare(t, o, targets...)
	r.listen(t, func(l net.Listener) net.Listener { return l })
	return r
}

func (r *rig) listen(t testing.TB, wrap func(net.Listener) net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx, wrap(l)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		l.Close()
	})
}

// app is a server that tells what it got.
func app(t testing.TB, h http.HandlerFunc) *front.Target {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return targetOf(s.Listener.Addr())
}

func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-Path", r.URL.RequestURI())
	w.Header().Set("X-For", r.Header.Get("X-Forwarded-For"))
	w.Header().Set("X-Te", strings.Join(r.TransferEncoding, ","))
	for k, v := range r.Trailer {
		w.Header().Set(http.TrailerPrefix+k, strings.Join(v, ","))
	}
	w.Write(b)
}

func client(t testing.TB) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// exchange sends a request and no more, and returns all that comes.
func exchange(t testing.TB, addr, request string) string {
	t.Helper()
	c := dial(t, addr)
	io.WriteString(c, request)
	c.CloseWrite()
	b, _ := io.ReadAll(c)
	return string(b)
}

// raw is a target that answers each head with what it is told.
func raw(t testing.TB, answer func(n int, head string, in *bufio.Reader, c net.Conn)) *front.Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var works sync.WaitGroup
	var n atomic.Int64
	works.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			works.Go(func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					head, err := readHead(in)
					if err != nil {
						return
					}
					answer(int(n.Add(1)), head, in, c)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); works.Wait() })
	return targetOf(l.Addr())
}

func readHead(in *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if head.WriteString(line); line == "\r\n" {
			return head.String(), nil
		}
	}
}

// joined puts the content of chunks together, whatever their sizes, with the 0 of the last one.
func joined(answer string) string {
	head, body, _ := strings.Cut(answer, "\r\n\r\n")
	var content string
	for lines := strings.Split(body, "\r\n"); len(lines) > 1; lines = lines[2:] {
		if content += lines[1]; lines[0] == "0" {
			content += "0"
		}
	}
	return head + "\r\n\r\n" + content
}

func (f *fixed) ends() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("%d", f.outcomes)
}

var trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
