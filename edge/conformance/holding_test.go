package conformance_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	quichttp3 "github.com/quic-go/quic-go/http3"

	"semper"
	"semper/edge"
)

// A browser has one connection, which Close ends with all that is under way on it.
type browser struct {
	http.RoundTripper
	Close func() error
}

func overHTTP2(addr string, c *tls.Config) browser {
	var mu sync.Mutex
	var conns []net.Conn
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, conn)
		return conn, err
	}}
	return browser{tr, func() (err error) {
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range conns {
			err = errors.Join(err, conn.Close())
		}
		return err
	}}
}

func overHTTP3(_ string, c *tls.Config) browser {
	tr := &quichttp3.Transport{TLSClientConfig: c}
	return browser{tr, tr.Close}
}

// A line is requests that an edge holds.
type line struct {
	t      *testing.T
	edge   *edge.Edge
	addr   string
	places int
}

// table holds everything, or ends that.
func (l *line) table(instance string, held bool) {
	p := semper.Pool{Key: "bar/production/web", App: "bar", Release: "r1", Backend: []semper.Backend{{ID: "web.r1.1", Address: instance}},
		Limits: semper.HoldLimits{Requests: l.places, Age: semper.Duration(time.Hour), Rate: 1000}}
	if held {
		p.Hold = semper.Holds{{By: "test"}}
	}
	if err := l.edge.Apply(semper.Table{Epoch: l.edge.Epoch() + 1, Pools: []semper.Pool{p}, Routes: []semper.Route{{Path: "/", Pool: p.Key}}}); err != nil {
		l.t.Fatal(err)
	}
}

// until returns when n wait.
func (l *line) until(n int) {
	l.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for l.edge.State().Held["bar/production/web"] != n {
		select {
		case <-tick.C:
		case <-late.C:
			l.t.Fatalf("%d wait, want %d", l.edge.State().Held["bar/production/web"], n)
		}
	}
}

// asked is one request that is under way.
type asked struct {
	leave  context.CancelFunc
	status chan int // 0: there was no answer
}

func (l *line) ask(b browser) *asked {
	ctx, cancel := context.WithCancel(l.t.Context())
	a := &asked{leave: cancel, status: make(chan int, 1)}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+l.addr+"/", strings.NewReader("content"))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Host = hostA
	go func() {
		resp, err := b.RoundTrip(r)
		if err != nil {
			a.status <- 0
			return
		}
		resp.Body.Close() //nolint:errcheck // its head is what is wanted
		a.status <- resp.StatusCode
	}()
	return a
}

// several ask one after the other, so that one connection carries them all.
func (l *line) several(b browser, n, waiting int) (all []*asked) {
	l.t.Helper()
	for i := range n {
		all = append(all, l.ask(b))
		l.until(waiting + i + 1)
	}
	return all
}

// TestWhoResetsAStreamFreesHisPlace in a line, over HTTP/2 and HTTP/3: with one request of a connection on which others wait on. Whoever
// ends the whole connection frees all of his places.
func TestWhoResetsAStreamFreesHisPlace(t *testing.T) {
	t.Parallel()
	const places = 8
	for name, dial := range map[string]func(addr string, c *tls.Config) browser{"HTTP/2": overHTTP2, "HTTP/3": overHTTP3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, roots, config := newEdgeWith(t)
			l := &line{t: t, edge: e, places: places}
			if name == "HTTP/3" {
				l.addr = serve3(t, e, config)
			} else {
				l.addr = serve(t, e, true)
			}
			instance := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			t.Cleanup(instance.Close)
			address := instance.Listener.Addr().String()
			l.table(address, true)
			first, second := dial(l.addr, &tls.Config{RootCAs: roots, ServerName: hostA}), dial(l.addr, &tls.Config{RootCAs: roots, ServerName: hostA})
			all := l.several(first, places, 0)
			if status := <-l.ask(first).status; status != http.StatusServiceUnavailable {
				t.Errorf("one more than there are places for: %d", status)
			}
			for _, a := range all[:places/2] {
				a.leave() // resets its stream
				<-a.status
			}
			l.until(places / 2)
			others := l.several(second, places/2, places/2)
			if err := second.Close(); err != nil {
				t.Error(err)
			}
			for _, a := range others {
				<-a.status
			}
			l.until(places / 2)
			l.table(address, false)
			for _, a := range all[places/2:] {
				if status := <-a.status; status != http.StatusOK {
					t.Errorf("one that stayed: %d", status)
				}
			}
			if err := first.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
