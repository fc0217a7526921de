package edge

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/edge/mirror/told"
	"semper/verify/diff"
)

// shadowed is a table whose pool is copied to a candidate, all of it where o says nothing else.
func shadowed(o semper.Shadowing, candidate semper.Backend) func(*semper.Table) {
	return func(t *semper.Table) {
		t.Pools[0].Shadow = &semper.Shadow{Rollout: "ro1", Share: 1, Shadowing: o}
		t.Pools = append(t.Pools, semper.Pool{
			Key: webPool.PoolOf(semper.ArmCandidate), App: "bar", Release: "r2", Arm: semper.ArmCandidate, Backend: []semper.Backend{candidate},
		})
	}
}

// compared waits until every sampled request is in its column.
func (f *fixture) compared() told.Counts {
	f.t.Helper()
	var c told.Counts
	eventually(f.t, "every sampled request is in its column", func() bool {
		all := f.mirrors.Counts(time.Now())
		if len(all) != 1 {
			return false
		}
		c = all[0]
		n := c.Pairs
		for _, by := range []map[string]uint64{c.Skipped, c.Dropped} {
			for _, more := range by {
				n += more
			}
		}
		return n == c.Sampled && f.mirrors.Flying() == 0 && len(f.State().InFlight) == 0
	})
	return c
}

// TestShadowTellsWhatDiffers: an undeclared change is told, and nothing else is: not what is noise, nor what was declared.
func TestShadowTellsWhatDiffers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var n atomic.Int64
	page := func(price int, more string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"price":%d,"id":"%d-%x","token":"s3cret-%d"%s}`, price, n.Add(1), n.Load()*7919, price, more)
		}
	}
	one, two := start(t, "tcp", "web.r1.1", page(1, "")), start(t, "tcp", "web.r2.1", page(2, `,"vat":3`))
	f.table(1, shadowed(semper.Shadowing{Rules: []byte(`{"rules":[{"path":"body.vat","kind":"added"},{"path":"body.gone"}]}`)}, two.Backend), one.Backend)
	c := client(t)
	const asked = 40
	for i := range asked {
		if _, body := get(t, c, f.url(fmt.Sprintf("/items/%d", i))); !strings.HasPrefix(body, `{"price":1,`) {
			t.Fatalf("the client got %s", body)
		}
	}
	got := f.compared()
	if got.Sampled != asked || got.Pairs+got.Dropped["busy"] != asked || got.Copies != got.Pairs || got.Expected != got.Pairs {
		t.Errorf("%+v", got)
	}
	changed := map[string]diff.Tally{}
	for _, p := range got.Places {
		changed[strings.Join(p.Path, ".")] = p
		for _, e := range p.Examples {
			if strings.Contains(e.Was+e.Is, "s3cret") {
				t.Errorf("a secret is shown: %+v", e)
			}
		}
	}
	if p := changed["body.price"]; len(changed) != 3 || p.Endpoint != "GET /items/{}" || p.Seen != int64(got.Pairs) || p.Candidate != int64(got.Copies) || p.Noise != 0 {
		t.Errorf("%+v", got.Places)
	}
	if p := changed["body.id"]; p.Candidate != 0 || p.Noise != int64(got.Copies) {
		t.Errorf("what differs by itself: %+v", p)
	}
	if strings.Join(got.Stale, " ") != "body.gone" {
		t.Errorf("stale rules: %v", got.Stale)
	}
	if l := f.settled(1); l.Accepted != asked || l.Served != asked {
		t.Errorf("the ledger of the release in production has %+v", l)
	}
	if l := f.ledger(2); l != (semper.Ledger{}) {
		t.Errorf("copies are in the candidate's ledger: %+v", l)
	}
}

// TestShadowMarksCopies: a copy is what the instance would have got, with a mark, and no client makes that mark.
func TestShadowMarksCopies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	seen := make(chan http.Header, 8)
	tell := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Clone() })
	one, two := start(t, "tcp", "web.r1.1", tell), start(t, "unix", "web.r2.1", tell)
	f.table(1, shadowed(semper.Shadowing{}, two.Backend), one.Backend)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/a?b=c"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Semper-Shadow", "1")
	r.Header["semper_shadow"] = []string{"1"}
	r.Header.Set("Cookie", "a=b")
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	resp, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	drainBody(t, resp)
	f.compared()
	marked, spans, ids := 0, map[string]bool{}, map[string]bool{}
	for range 3 {
		h := <-seen
		if h.Get("Semper-Shadow") == "1" {
			marked++
		}
		if h.Get("Cookie") != "a=b" || h.Get("X-Forwarded-For") == "" || h["Semper_shadow"] != nil || !strings.HasPrefix(h.Get("Traceparent"), "00-0af7651916cd43dd8448eb211c80319c-") {
			t.Errorf("%v", h)
		}
		spans[h.Get("Traceparent")], ids[h.Get("X-Request-Id")] = true, true
	}
	if marked != 2 || len(spans) != 3 || len(ids) != 1 {
		t.Errorf("%d are marked, of spans %v and ids %v", marked, spans, ids)
	}
}

// vicious are candidates that do whatever they like.
func vicious(t *testing.T) map[string]http.HandlerFunc {
	var stop sync.Once
	over := make(chan struct{})
	t.Cleanup(func() { stop.Do(func() { close(over) }) })
	block := make([]byte, 1<<20)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 32 {
		z.Write(block) //nolint:errcheck // into memory
	}
	z.Close() //nolint:errcheck // the same
	return map[string]http.HandlerFunc{
		"hangs":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"resets": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"answers a gigabyte": func(w http.ResponseWriter, _ *http.Request) {
			for range 1024 {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
		"drips": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.Write([]byte("x"))                  //nolint:errcheck // nobody may be there
				http.NewResponseController(w).Flush() //nolint:errcheck // the same
				select {
				case <-over:
					return
				case <-r.Context().Done():
				case <-time.After(time.Millisecond):
				}
			}
		},
		"breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("half")) //nolint:errcheck // nobody may be there
		},
		"unpacks to more than it may": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes()) //nolint:errcheck // nobody may be there
		},
	}
}

// TestShadowNeverShows: whatever the candidate does, clients get the answers they would have got, in their order, and the edge keeps
// no more than it may.
func TestShadowNeverShows(t *testing.T) {
	t.Parallel()
	for name, does := range vicious(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			answer := func(r *http.Request) string { return strings.Repeat(r.URL.Path, 1000) }
			one := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answer(r)) })) //nolint:errcheck // the client tells
			two := start(t, "tcp", "web.r2.1", does)
			o := semper.Shadowing{Concurrency: 4, Bytes: 4 << 20, Timeout: semper.Duration(50 * time.Millisecond)}
			f.table(1, shadowed(o, two.Backend), one.Backend)
			conn, err := net.Dial("tcp", f.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // only read
			const n = 20
			var asked, want strings.Builder
			for i := range n {
				fmt.Fprintf(&asked, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
				want.WriteString(strings.Repeat(fmt.Sprintf("/%d", i), 1000))
			}
			go io.WriteString(conn, asked.String()) //nolint:errcheck // the answers tell
			if got := bodies(t, conn, n); got != want.String() {
				t.Errorf("clients got %d bytes that are not those of the release in production", len(got))
			}
			got := f.compared()
			if got.Sampled != n || got.Pairs == 0 {
				t.Errorf("%+v", got)
			}
			if got.Candidate+got.UnansweredAgain < got.Pairs { // the second copy may come too late as well
				t.Errorf("what the candidate does is a difference: %+v", got)
			}
		})
	}
}

// bodies are those of n answers on a connection, in their order.
func bodies(t *testing.T, conn net.Conn, n int) string {
	t.Helper()
	var all strings.Builder
	r := bufio.NewReader(conn)
	for range n {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(drainBody(t, resp))
	}
	return all.String()
}

// TestShadowIsBounded: what is beyond a bound is dropped, and counted by reason.
func TestShadowIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	gate := make(chan struct{})
	one := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Semper-Shadow") != "":
			<-gate
		case r.URL.Path == "/large":
			w.Write(make([]byte, 2000)) //nolint:errcheck // the client tells
		case r.URL.Path == "/stream":
			w.Header().Set("Content-Type", "text/event-stream")
		}
	}))
	two := start(t, "tcp", "web.r2.1", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-gate }))
	f.table(1, shadowed(semper.Shadowing{Concurrency: 2, Body: 1000}, two.Backend), one.Backend)
	c := client(t)
	get(t, c, f.url("/first"))
	eventually(t, "its two copies wait at the gate", func() bool {
		in := f.State().InFlight
		return in[two.ID][semper.ClassRequest] == 1 && in[one.ID][semper.ClassRequest] == 1
	})
	for _, r := range []struct{ method, path, field string }{
		{"GET", "/", ""}, {"POST", "/", ""}, {"GET", "/", "Range: bytes=0-1"}, {"GET", "/", "If-None-Match: x"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, f.url(r.path), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if name, value, ok := strings.Cut(r.field, ": "); ok {
			req.Header.Set(name, value)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		drainBody(t, resp)
	}
	if n := f.State().InFlight[two.ID][semper.ClassRequest]; n != 1 {
		t.Errorf("%d copies are in flight to the candidate's instance, want 1: whoever drains it must know", n)
	}
	close(gate)
	f.compared() // there is room again
	get(t, c, f.url("/large"))
	f.compared()
	get(t, c, f.url("/stream"))
	got := f.compared()
	if got.Pairs != 1 || got.Dropped["busy"] != 1 || got.Skipped["method"] != 1 || got.Skipped["range"] != 1 || got.Skipped["conditional"] != 1 ||
		got.Skipped["large"] != 1 || got.Skipped["stream"] != 1 {
		t.Errorf("%+v", got)
	}
}

// TestShadowedContent: where a route says so requests with content are copied, with it.
func TestShadowedContent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	seen := make(chan string, 8)
	tell := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body) //nolint:errcheck // what there is
		seen <- r.Method + " " + string(b)
		w.Write(b) //nolint:errcheck // the client tells
	})
	one, two := start(t, "tcp", "web.r1.1", tell), start(t, "tcp", "web.r2.1", tell)
	in := shadowed(semper.Shadowing{}, two.Backend)
	f.table(1, func(t *semper.Table) {
		in(t)
		t.Routes[0].Policy = raw(`{"shadow":"all"}`)
	}, one.Backend)
	resp, err := client(t).Post(f.url("/"), "text/plain", strings.NewReader("order"))
	if err != nil {
		t.Fatal(err)
	}
	if got := drainBody(t, resp); got != "order" {
		t.Fatalf("the client got %q", got)
	}
	got := f.compared()
	if got.Pairs != 1 || got.Copies != 1 || len(got.Places) != 0 {
		t.Errorf("%+v", got)
	}
	for range 3 {
		if s := <-seen; s != "POST order" {
			t.Errorf("an instance got %q", s)
		}
	}
}

// TestShadowEndsWithADrain: a copy in flight to an instance on its way out is cut at the deadline of its release, and is no pair.
func TestShadowEndsWithADrain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := start(t, "tcp", "web.r1.1", says(1))
	arrived := make(chan struct{}, 1)
	two := start(t, "tcp", "web.r2.1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	f.table(1, shadowed(semper.Shadowing{Timeout: semper.Duration(time.Hour)}, two.Backend), one.Backend)
	get(t, client(t), f.url("/"))
	<-arrived
	f.table(1, draining(2, time.Now(), two.ID), one.Backend)
	got := f.compared()
	if got.Dropped["no-instance"] != 1 || got.Pairs != 0 {
		t.Errorf("%+v", got)
	}
}

// TestShadowWhileHeld: nothing is sent to anybody while a hold is on, copies neither.
func TestShadowWhileHeld(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var copies atomic.Int64
	one := start(t, "tcp", "web.r1.1", says(1))
	two := start(t, "tcp", "web.r2.1", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { copies.Add(1) }))
	in := shadowed(semper.Shadowing{}, two.Backend)
	f.table(1, func(t *semper.Table) {
		in(t)
		holding(true, semper.HoldLimits{})(t) // reads go on
	}, one.Backend)
	get(t, client(t), f.url("/"))
	if got := f.compared(); got.Dropped["no-instance"] != 1 || copies.Load() != 0 {
		t.Errorf("%d copies, %+v", copies.Load(), got)
	}
}
