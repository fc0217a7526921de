package generate

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wrkText = `Running 3s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms  200.00us   9.00ms   90.00%
    Req/Sec    64.20k     1.10k   66.00k    80.00%
  Latency Distribution
     50%    0.90ms
     75%    1.00ms
     90%    1.50ms
     99%    2.20ms
  192345 requests in 3.01s, 53.21MB read
Requests/sec:  64115.00
Transfer/sec:     17.70MB
`

func TestParseWrk(t *testing.T) {
	t.Parallel()
	got, err := parseWrk(wrkText)
	if want := (Count{Requests: 192345, Elapsed: 3010 * time.Millisecond, P99: 2200 * time.Microsecond}); err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	for _, bad := range []string{
		"", wrkText + "  Socket errors: connect 0, read 1, write 0, timeout 0\n", wrkText + "  Non-2xx or 3xx responses: 3\n",
		strings.Replace(wrkText, "99%", "98%", 1), strings.Replace(wrkText, "192345", "0", 1),
	} {
		if c, err := parseWrk(bad); err == nil {
			t.Errorf("%+v of %q", c, bad)
		}
	}
}

func TestParseH2load(t *testing.T) {
	t.Parallel()
	const text = "finished in 3.00s, 10.00 req/s, 1B/s\nrequests: 30 total, 31 started, 30 done, 30 succeeded, 0 failed, 0 errored, 0 timeout\nstatus codes: 30 2xx"
	got, err := parseH2load(text, 3*time.Second)
	if want := (Count{Requests: 30, Elapsed: 3 * time.Second}); err != nil || got != want || got.Rate() != 10 {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", strings.Replace(text, "30 succeeded, 0 failed", "29 succeeded, 1 failed", 1), strings.Replace(text, "30 done, 30", "0 done, 0", 1)} {
		if c, err := parseH2load(bad, time.Second); err == nil {
			t.Errorf("%+v of %q", c, bad)
		}
	}
}

// server answers as bench/proxy/backend does, and counts.
func server(t *testing.T, secure bool) (address string, requests, opened *atomic.Int64) {
	t.Helper()
	requests, opened = new(atomic.Int64), new(atomic.Int64)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/bytes" {
			n, _ := strconv.ParseInt(r.URL.RawQuery, 10, 64)
			w.Header().Set("Content-Length", r.URL.RawQuery)
			w.Write(make([]byte, n))
		}
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, message, err := c.Read(t.Context())
			if err != nil || c.Write(t.Context(), kind, message) != nil {
				return
			}
		}
	})
	s := httptest.NewUnstartedServer(mux)
	s.Config.ConnState = connCounter(opened)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), requests, opened
}

func connCounter(opened *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
}

func TestTransfersCountWhatTheyDid(t *testing.T) {
	t.Parallel()
	address, requests, opened := server(t, false)
	const size, connections = 100_000, 3
	down, err := Download(t.Context(), address, "/bytes?100000", size, connections, 50*time.Millisecond)
	if err != nil || down.Requests != requests.Load() || down.Bytes != down.Requests*size || down.Requests < connections {
		t.Errorf("%+v, %v; the server saw %d requests", down, err, requests.Load())
	}
	before := requests.Load()
	up, err := Upload(t.Context(), address, "/upload", size, connections, 50*time.Millisecond)
	if err != nil || up.Requests != requests.Load()-before || up.Bytes != up.Requests*size || up.Requests < connections {
		t.Errorf("%+v, %v; the server saw %d requests", up, err, requests.Load()-before)
	}
	if opened.Load() != 2*connections {
		t.Errorf("%d connections, want %d each time", opened.Load(), connections)
	}
	if c, err := Download(t.Context(), address, "/bytes?5", size, 1, time.Minute); err == nil {
		t.Errorf("a body too short was counted: %+v", c)
	}
}

func TestHandshakesAreNew(t *testing.T) {
	t.Parallel()
	address, requests, opened := server(t, true)
	c, err := Handshakes(t.Context(), address, 2, 50*time.Millisecond)
	if err != nil || c.Requests < 2 || c.Requests != requests.Load() || opened.Load() != c.Requests {
		t.Errorf("%+v, %v; %d requests on %d connections", c, err, requests.Load(), opened.Load())
	}
	if _, err := Handshakes(t.Context(), "127.0.0.1:1", 2, time.Minute); err == nil {
		t.Error("handshakes with nobody")
	}
}

func TestWorkEndsWithItsContext(t *testing.T) {
	t.Parallel()
	address, _, _ := server(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Download(ctx, address, "/bytes?5", 5, 2, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cancelled", err)
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	address, requests, opened := server(t, false)
	const n = 37 // not a multiple of the openers
	for _, open := range []func(context.Context, string, int) (*Held, error){Connections, WebSockets} {
		before := opened.Load()
		h, err := open(t.Context(), address, n)
		if err != nil {
			t.Fatal(err)
		}
		if len(h.all) != n || opened.Load()-before != n {
			t.Errorf("%d are held, %d were opened, want %d", len(h.all), opened.Load()-before, n)
		}
		h.Close()
		if _, err := open(t.Context(), "127.0.0.1:1", n); err == nil || !strings.Contains(err.Error(), "0 of 37") {
			t.Errorf("%v, want that none was opened", err)
		}
	}
	if requests.Load() != n {
		t.Errorf("%d requests, want one on each plain connection", requests.Load())
	}
}
