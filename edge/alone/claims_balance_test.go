package alone

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tally asks so often, one request after the other, and counts who answered.
func tally(t *testing.T, c *http.Client, n int, url string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for range n {
		status, _, h := get(t, c, url)
		seen[strings.TrimSpace(h.Get("X-App"))]++
		if status != http.StatusOK {
			seen[http.StatusText(status)]++
		}
	}
	return seen
}

// after is an upstream that takes a while for each answer.
func after(t *testing.T, name string, took time.Duration) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(took): // what the test is about
		case <-r.Context().Done():
		}
		w.Header().Set("X-App", name)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestClaimsOfBalance: by weight, by time, by key, and slowly for one that comes back.
func TestClaimsOfBalance(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		var ill atomic.Bool
		ill.Store(true)
		moody := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-App", "moody")
			if r.URL.Path == "/healthz" && ill.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}))
		t.Cleanup(moody.Close)
		r := launch(t, strings.NewReplacer("MOODY", moody.Listener.Addr().String(), "WELL", echo(t, "well"), "OTHER", echo(t, "other"),
			"SLOW", after(t, "slow", 200*time.Millisecond), "HEALTH", "health: {path: /healthz, interval: 200ms, timeout: 200ms, rise: 1, fall: 2}").Replace(`
listeners: 127.0.0.1:0
pools:
  weighted: {upstreams: [{address: WELL, weight: 3}, {address: OTHER, weight: 1}]}
  none: {upstreams: [{address: WELL, weight: 0}, OTHER]}
  timed: [SLOW, WELL]
  hashed: [WELL, OTHER]
  slow: {upstreams: [MOODY, WELL], HEALTH, slow_start: 4s, panic_threshold: 0}
routes:
  - {path: /weighted, to: weighted, balance: round-robin}
  - {path: /none, to: none}
  - {path: /timed, to: timed, balance: least-time}
  - {path: /hashed, to: hashed, balance: {algorithm: rendezvous, key: "header:X-User"}}
  - {path: /slow, to: slow, balance: round-robin}
`), "-driver", driver)
		at := "http://" + r.ready()["http"][0]
		c := client(t)
		if got := tally(t, c, 40, at+"/weighted"); got["well"] != 30 || got["other"] != 10 {
			t.Errorf("three to one: %v", got)
		}
		if got := tally(t, c, 10, at+"/none"); got["other"] != 10 {
			t.Errorf("a weight of nothing: %v", got)
		}
		if got := tally(t, c, 60, at+"/timed"); got["slow"] > 15 || got["slow"] == 0 {
			t.Errorf("one of two takes much longer, and got %v", got)
		}
		both := map[string]bool{}
		for i := range 20 {
			var first string
			for range 3 {
				q, err := http.NewRequest(http.MethodGet, at+"/hashed", nil)
				if err != nil {
					t.Fatal(err)
				}
				q.Header.Set("X-User", fmt.Sprint(i))
				resp, err := c.Do(q)
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, resp)
				who := resp.Header.Get("X-App")
				if both[who] = true; first == "" {
					first = who
				}
				if who != first {
					t.Errorf("user %d was at %s and at %s", i, first, who)
				}
			}
		}
		if len(both) != 2 {
			t.Errorf("twenty users were all at %v", both)
		}
		share := func(n int) int { return tally(t, c, n, at+"/slow")["moody"] }
		eventually(t, func() bool { // the other one has had its time first, and the machine has no pause of that length
			ill.Store(true)
			eventually(t, func() bool { return share(10) == 0 })
			ill.Store(false)
			eventually(t, func() bool { return share(1) == 1 })
			return share(40) <= 15
		})
		eventually(t, func() bool { return share(40) == 20 })
	})
}

// TestClaimsOfKeepalive: connections are kept, or each request has one of its own.
func TestClaimsOfKeepalive(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		counted := func() (string, *atomic.Int64) {
			n := new(atomic.Int64)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					n.Add(1)
				}
			}
			s.Start()
			t.Cleanup(s.Close)
			return s.Listener.Addr().String(), n
		}
		kept, few := counted()
		fresh, many := counted()
		r := launch(t, fmt.Sprintf(`
listeners: 127.0.0.1:0
pools: {kept: %s, fresh: {upstreams: %s, keepalive: {idle: off}}}
routes: [{path: /kept, to: kept}, {path: /fresh, to: fresh}]
`, kept, fresh), "-driver", driver)
		at := "http://" + r.ready()["http"][0]
		c := client(t)
		for range 20 {
			get(t, c, at+"/kept")
			get(t, c, at+"/fresh")
		}
		if few.Load() > 5 || many.Load() != 20 {
			t.Errorf("20 requests each: %d connections that are kept, %d that are not", few.Load(), many.Load())
		}
	})
}

// TestClaimsOfAdaptive: with room for four at once, an upstream that is asked by sixty-four has about as many in hand as it can do, and
// without the word all of them. Nobody is turned away while there is room to wait.
func TestClaimsOfAdaptive(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		type crowd struct{ now, most atomic.Int64 }
		const clients = 64
		crowded := make(chan struct{}) // closed when as many as there are clients are in hand at once
		var once sync.Once
		workers := func(c *crowd, work chan struct{}) string {
			s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				n := c.now.Add(1)
				defer c.now.Add(-1)
				for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
				}
				if work == nil {
					if n == clients {
						once.Do(func() { close(crowded) })
					}
					select {
					case <-crowded:
					case <-r.Context().Done():
					}
					return
				}
				work <- struct{}{}
				<-time.After(50 * time.Millisecond) // what one takes for the work
				<-work
			}))
			t.Cleanup(s.Close)
			return s.Listener.Addr().String()
		}
		var bound, free crowd
		r := launch(t, fmt.Sprintf(`
listeners: 127.0.0.1:0
pools: {bound: %s, free: %s}
routes:
  - {path: /bound, to: bound, adaptive: true, queue: {length: 100, deadline: 1m}}
  - {path: /free, to: free}
`, workers(&bound, make(chan struct{}, 4)), workers(&free, nil)), "-driver", driver)
		at := "http://" + r.ready()["http"][0]
		c := client(t)
		c.Transport.(*http.Transport).MaxIdleConnsPerHost = 200
		ask := func(path string, requests int64) {
			var all sync.WaitGroup
			var asked atomic.Int64
			for range clients {
				all.Go(func() {
					for asked.Add(1) <= requests {
						resp, err := c.Get(at + path)
						if err != nil {
							t.Error(err)
							return
						}
						resp.Body.Close()
						if resp.StatusCode != http.StatusOK {
							t.Errorf("%s: %s", path, resp.Status)
						}
					}
				})
			}
			all.Wait()
		}
		ask("/free", clients)
		ask("/bound", 200)
		if free.most.Load() != clients {
			t.Errorf("without a bound there were %d in hand, and not all %d", free.most.Load(), clients)
		}
		if most := bound.most.Load(); most <= 3 || most > 32 { // it begins with three
			t.Errorf("with one found by itself there were %d in hand", most)
		}
	})
}
