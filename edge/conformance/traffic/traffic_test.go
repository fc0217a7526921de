package traffic_test

import (
	"bufio"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"semper"
	"semper/edge"
	"semper/edge/conformance"
	"semper/edge/conformance/traffic"
	"semper/edge/conformance/wire"
)

// exchanges and seed make a longer run, or one again.
var (
	exchanges = flag.Int("exchanges", 2000, "how many exchanges are compared")
	seed      = flag.Uint64("seed", 1, "of the traffic")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func record(t *testing.T) *conformance.Recorder {
	t.Helper()
	r, err := conformance.Record("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func reference(t *testing.T, backend *conformance.Recorder) string {
	t.Helper()
	addr, end, err := traffic.Reference(backend.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return addr
}

// ofEdge is an edge of this module in front of backend.
func ofEdge(t *testing.T, backend *conformance.Recorder) string {
	t.Helper()
	e, err := edge.New(edge.Options{ID: "edge-1", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(l, false) }()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	const key = semper.PoolKey("bar/production/web")
	err = e.Apply(semper.Table{Epoch: 1, Routes: []semper.Route{{Path: "/", Pool: key}},
		Pools: []semper.Pool{{Key: key, App: "bar", Release: "r1", Backend: []semper.Backend{{ID: "bar/web.r1.1", Address: backend.Addr().String()}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// TestSameAsReference plays the same traffic through the edge and through net/http's reverse proxy.
func TestSameAsReference(t *testing.T) {
	t.Parallel()
	behindEdge, behindReference := record(t), record(t)
	a := traffic.NewSide("edge", ofEdge(t, behindEdge), behindEdge)
	b := traffic.NewSide("reference", reference(t, behindReference), behindReference)
	played, different, err := traffic.Compare(t.Context(), a, b, *seed, *exchanges, 4)
	for _, d := range different {
		t.Error(d)
	}
	if err != nil || played < *exchanges {
		t.Fatalf("%d of %d exchanges: %v", played, *exchanges, err)
	}
	for _, side := range []*traffic.Side{a, b} {
		if ids := side.Late(); len(ids) > 0 {
			t.Errorf("%s: requests cut short reached the backend whole: %v", side.Name, ids)
		}
	}
}

// TestComparisonSees gives one side a proxy that changes a little: whatever it is, it must be found.
func TestComparisonSees(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*httputil.ReverseProxy){
		"a field of the answer": func(p *httputil.ReverseProxy) {
			p.ModifyResponse = func(r *http.Response) error { r.Header.Del("Set-Cookie"); return nil }
		},
		"a status": func(p *httputil.ReverseProxy) {
			p.ModifyResponse = func(r *http.Response) error {
				if r.StatusCode == http.StatusCreated {
					r.StatusCode = http.StatusOK
				}
				return nil
			}
		},
		"a trailer": func(p *httputil.ReverseProxy) {
			p.ModifyResponse = func(r *http.Response) error { clear(r.Trailer); return nil }
		},
		"a query": func(p *httputil.ReverseProxy) {
			was := p.Rewrite
			p.Rewrite = func(r *httputil.ProxyRequest) { was(r); r.Out.URL.RawQuery = "" }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good, bad := record(t), record(t)
			target := &url.URL{Scheme: "http", Host: bad.Addr().String()}
			transport := &http.Transport{DisableCompression: true}
			proxy := &httputil.ReverseProxy{Transport: transport, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
			change(proxy)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{Handler: proxy}
			served := make(chan struct{})
			go func() { s.Serve(l); close(served) }()
			defer func() { s.Close(); <-served; transport.CloseIdleConnections() }()
			a := traffic.NewSide("good", reference(t, good), good)
			b := traffic.NewSide("bad", l.Addr().String(), bad)
			if _, different, err := traffic.Compare(t.Context(), a, b, 7, 400, 2); err != nil || len(different) == 0 {
				t.Errorf("%d differences, %v", len(different), err)
			}
		})
	}
}

// TestTrafficIsValid has every generated message read by the judge.
func TestTrafficIsValid(t *testing.T) {
	t.Parallel()
	aborts := map[traffic.Abort]int{}
	for n := range uint64(2000) {
		for _, e := range traffic.Generate(3, n).Exchanges {
			aborts[e.Abort]++
			in := bufio.NewReader(strings.NewReader(e.Request))
			if q, err := wire.ReadRequest(in); err != nil || in.Buffered() > 0 {
				t.Fatalf("%q: %+v, %v", e.Request, q, err)
			}
			in = bufio.NewReader(strings.NewReader(e.Answer))
			for {
				p, err := wire.ReadResponse(in, e.Method)
				if err != nil {
					t.Fatalf("%q: %v", e.Answer, err)
				}
				if !p.Interim() {
					break
				}
			}
			if _, err := in.Peek(1); err == nil {
				t.Fatalf("%q: there is more behind it", e.Answer)
			}
		}
	}
	for a := traffic.Whole; a <= traffic.BackendResets; a++ {
		if aborts[a] < 20 {
			t.Errorf("abort %d comes %d times only", a, aborts[a])
		}
	}
}
