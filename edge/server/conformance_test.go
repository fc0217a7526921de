package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"semper/edge/conformance"
	"semper/edge/conformance/traffic"
	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/proxyproto"
	"semper/edge/upstream"
)

const (
	hostA = "a.example"
	hostB = "b.example"
)

// A router is an edge with the route table that package conformance wants: two hosts, and a prefix of its own. Where
// aside is set the ordinary requests, too, go through the handler.
type router struct {
	backend, guarded *front.Target
	aside            bool
}

func (r *router) Open(c front.Connection) front.Session {
	return &routed{router: r, peer: []byte(c.Peer.Addr().String())}
}

// target is where a host and path lead, nil for nowhere.
func (r *router) target(host, path string) *front.Target {
	switch {
	case host != hostA && host != hostB:
		return nil
	case path == "/guarded", strings.HasPrefix(path, "/guarded/"):
		return r.guarded
	}
	return r.backend
}

type routed struct {
	router *router
	peer   []byte
	path   []byte
	method http1.Method
	minor  uint8
	tries  int
}

func (s *routed) Begin(x *front.Exchange) front.Action {
	r := x.Request
	s.path = r.CanonicalPath(nil)
	s.method, s.minor, s.tries = r.Method, r.Minor, 0
	host := string(r.AppendHostName(nil))
	x.Target = s.router.target(host, string(http1.MatchPath(nil, s.path)))
	switch {
	case x.Target == nil || r.Form == http1.AsteriskForm:
		x.Refusal = http1.Refusal{Status: 404, Word: "no-route", Text: "No app answers here."}
		return front.Refuse
	case s.router.aside || r.Unusual&(http1.UnusualUpgrade|http1.UnusualExpect) != 0:
		return front.Pass
	}
	x.Keep = 64 << 10
	x.Forward = http1.Forward{Path: s.path, Proto: "http", ClientIP: s.peer}
	return front.Forward
}

func (s *routed) Woken(*front.Exchange) front.Action { return front.Refuse }

func (s *routed) Failed(x *front.Exchange, f front.Failure) front.Action {
	if s.tries++; f.Replayable && (f.Unsent || s.method.Idempotent() && f.Kind == front.Broken) && s.tries < 3 {
		return front.Forward
	}
	x.Refusal = http1.Refusal{Status: 502, Word: "bad-gateway", Text: "The app broke off before it answered."}
	var e *http1.Error
	if errors.As(f.Err, &e) {
		x.Refusal = e.Refusal()
	}
	return front.Refuse
}

func (s *routed) Head(x *front.Exchange) { x.Answer = http1.Answer{Method: s.method, Minor: s.minor} }

func (s *routed) End(*front.Exchange, front.Outcome) {}
func (s *routed) Close()                             {}

// aside is a reverse proxy over the same pools, for what is passed on.
func aside(r *router, pool func(*front.Target) *upstream.Pool) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport:     roundTripper(func(req *http.Request) (*http.Response, error) { return pool(targetIn(req.Context())).RoundTrip(req) }),
		FlushInterval: -1, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", "instance", p.In.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery // it is not ours to clean
			for k := range p.Out.Header {
				if k == "X-Real-Ip" || k == "X-Request-Id" || strings.Contains(k, "_") || strings.HasPrefix(k, "X-Forwarded") {
					delete(p.Out.Header, k)
				}
			}
			if p.In.ProtoMajor == 1 && p.In.ProtoMinor == 0 || strings.EqualFold(p.In.Header.Get("Upgrade"), "h2c") {
				p.Out.Header.Del("Upgrade")
				p.Out.Header.Del("Connection")
			}
			p.Out.Trailer = p.In.Trailer // a clone would stay empty
			p.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			status := http.StatusBadGateway
			var e *http1.Error
			switch {
			case errors.As(err, &e):
				status = e.Status
			case errors.Is(err, os.ErrDeadlineExceeded):
				status = http.StatusRequestTimeout
			case errors.Is(err, io.ErrUnexpectedEOF):
				status = http.StatusBadRequest
			}
			w.Header().Set("Connection", "close")
			w.WriteHeader(status)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		host, _, err := net.SplitHostPort(req.Host)
		if err != nil {
			host = req.Host
		}
		t := r.target(strings.ToLower(host), req.URL.Path)
		if t == nil || req.Method == http.MethodConnect {
			http.Error(w, "no app answers here", http.StatusNotFound)
			return
		}
		proxy.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), targetKey{}, t)))
	})
}

type targetKey struct{}

func targetIn(ctx context.Context) *front.Target { return ctx.Value(targetKey{}).(*front.Target) }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func record(t *testing.T) *conformance.Recorder {
	t.Helper()
	r, err := conformance.Record("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// routing is a server with a router over two recorders.
func routing(t *testing.T, o Options, backend, guarded *conformance.Recorder, all bool) *rig {
	t.Helper()
	edge := &router{backend: targetOf(backend.Addr()), guarded: targetOf(guarded.Addr()), aside: all}
	r := &rig{edge: new(fixed), head: time.Minute}
	o.Edge, o.Pool, o.Handler = edge, r.pool, aside(edge, r.pool)
	r.Server = New(o)
	t.Cleanup(func() {
		r.Close()
		r.pools.Range(func(_, p any) bool { p.(*upstream.Pool).Close(); return true })
	})
	return r
}

func certificate(t testing.TB, roots *x509.CertPool, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// elsewhere are the rows that a server does not meet by itself: an idle connection is looked at when it is used again
// (65), and whom a certificate is for is the session's to compare (70). Package conformance tries them on a whole edge.
var elsewhere = []int{65, 70}

// ofStreams is the row that a server does not meet by itself over HTTP/2, where each stream's deadlines are its handler's to set.
const ofStreams = 73

// byPace is the row whose floods come more slowly on a loaded machine than the meter allows. Package meter tests the bound
// itself.
const byPace = 83

// The 85 bad inputs of edge.md, by both ways and over each transport.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{false, true} {
		for _, tr := range conformance.Transports {
			if tr == conformance.H3 || all && tr == conformance.H2 {
				continue // not of this package; it goes that way anyhow
			}
			t.Run(map[bool]string{false: "forward ", true: "pass "}[all]+tr.String(), func(t *testing.T) {
				t.Parallel()
				// What has a deadline is tried against a server with short ones. All else has all the time it needs.
				unhurried, hasty := conformanceTarget(t, all, time.Minute), conformanceTarget(t, all, 500*time.Millisecond)
				for _, row := range conformance.Rows() {
					target := unhurried
					if slices.Contains([]int{72, 73, 74, 83}, row.Number) {
						target = hasty
					}
					if slices.Contains(elsewhere, row.Number) || tr == conformance.H2 && row.Number == ofStreams {
						continue
					}
					for _, res := range conformance.Check(t.Context(), target, row, tr) {
						switch {
						case res.Verdict == conformance.Fail && row.Number != byPace:
							t.Error(res)
						case res.Verdict != conformance.Pass:
							t.Log(res)
						}
					}
				}
			})
		}
	}
}

// conformanceTarget is a server all of whose deadlines are deadline.
func conformanceTarget(t *testing.T, all bool, deadline time.Duration) *conformance.Target {
	roots := x509.NewCertPool()
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate(t, roots, hostA), certificate(t, roots, hostB)}, NextProtos: []string{"h2", "http/1.1"},
	}
	target := &conformance.Target{
		Host: hostA, Other: hostB, Roots: roots, Backend: record(t), Guarded: record(t), Patience: 30 * time.Second, MaxBody: 1 << 20,
		Deadlines: conformance.Deadlines{Head: deadline, Body: deadline, Write: deadline},
	}
	limits := http1.Default
	limits.Body = target.MaxBody
	r := routing(t, Options{Limits: &limits, Head: target.Deadlines.Head, Body: target.Deadlines.Body, Write: target.Deadlines.Write, Rate: 10},
		target.Backend, target.Guarded, all)
	for addr, wrap := range map[*string]func(net.Listener) net.Listener{
		&target.Plain: func(l net.Listener) net.Listener { return l },
		&target.TLS:   func(l net.Listener) net.Listener { return &TLSListener{l, config} },
		&target.Proxy: func(l net.Listener) net.Listener {
			return &proxyproto.Listener{Listener: l, Required: true, Trusted: trusted}
		},
	} {
		r.listen(t, wrap)
		*addr = r.addr
	}
	return target
}

// Whatever is valid comes through, and as it does through net/http's reverse proxy.
func TestTraffic(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{false, true} {
		t.Run(map[bool]string{false: "forward", true: "pass"}[all], func(t *testing.T) {
			t.Parallel()
			ours, theirs := record(t), record(t)
			r := routing(t, Options{}, ours, ours, all)
			r.listen(t, func(l net.Listener) net.Listener { return l })
			reference, end, err := traffic.Reference(theirs.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { end() })
			const exchanges = 2000
			a, b := traffic.NewSide("server", r.addr, ours), traffic.NewSide("reference", reference, theirs)
			played, different, err := traffic.Compare(t.Context(), a, b, 5, exchanges, 4)
			for _, d := range different {
				t.Error(d)
			}
			if err != nil || played < exchanges {
				t.Fatalf("%d of %d exchanges: %v", played, exchanges, err)
			}
			if ids := a.Late(); len(ids) > 0 {
				t.Errorf("requests cut short reached the backend whole: %v", ids)
			}
		})
	}
}
