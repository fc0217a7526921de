package mirror

import (
	stdbytes "bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"semper"
	"semper/edge/mirror/told"
	"semper/edge/route"
)

const web = semper.PoolKey("bar/production/web")

// table is pools with a shadow.
func table(share float64, o semper.Shadowing) []semper.Pool {
	return []semper.Pool{
		{Key: web, App: "bar", Release: "r1", Shadow: &semper.Shadow{Rollout: "ro1", Share: share, Shadowing: o}},
		{Key: web.PoolOf(semper.ArmCandidate), App: "bar", Release: "r2", Arm: semper.ArmCandidate},
	}
}

// instance answers copies as do says.
type instance func(r *http.Request) (status int, h http.Header, body string, err error)

func (i instance) sender(semper.PoolKey) Sender {
	return Sender{Trip: func(r *http.Request) (*http.Response, func(error) bool, error) {
		status, h, body, err := i(r)
		if err != nil {
			return nil, nil, err
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, func(error) bool { return false }, nil
	}}
}

func plan(t testing.TB, m *Mirrors, pools []semper.Pool, i instance) *Mirror {
	t.Helper()
	by, err := m.Plan(pools, i.sender, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return by[web]
}

func request(method, path string) Request {
	return Request{Request: &http.Request{Method: method, URL: &url.URL{Path: path}, Host: "a", Header: http.Header{}}, Path: []byte(path), Which: route.ShadowSafe}
}

// serve is mirrors whose worker runs until the test's end.
func serve(t testing.TB) *Mirrors {
	m := New("edge-1", time.Now())
	ctx, cancel := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() { m.Serve(ctx) }) //nolint:errcheck // it never fails
	t.Cleanup(func() {
		m.Close()
		cancel()
		worker.Wait()
	})
	return m
}

// settled waits until no copy is under way and nothing waits to be compared.
func settled(t testing.TB, m *Mirrors, one *Mirror) told.Counts {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for {
		c := m.Counts(time.Now())[0]
		if ends(&c) == c.Sampled && one.kept.Load() == 0 && one.flying.Load() == 0 {
			return c
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never settled: %+v", c)
		}
	}
}

func ends(c *told.Counts) uint64 {
	n := c.Pairs
	for _, by := range []map[string]uint64{c.Skipped, c.Dropped} {
		for _, more := range by {
			n += more
		}
	}
	return n
}

var jsonHeader = http.Header{"Content-Type": {"application/json"}}

// TestEachSampledRequestIsInOneColumn, whatever becomes of it and of its copies, in whatever order, and all memory is given back.
func TestEachSampledRequestIsInOneColumn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := serve(t)
		defer m.Close()
		odd := []error{nil, nil, ErrNobody, errors.New("reset")}
		var mu sync.Mutex
		next := rapid.SliceOfN(rapid.SampledFrom(odd), 1, 8).Draw(rt, "copies")
		one := plan(t, m, table(1, semper.Shadowing{Concurrency: 6, Body: 100, Bytes: 5 * overhead, Again: rapid.SampledFrom([]float64{.5, 1}).Draw(rt, "again")}),
			func(*http.Request) (int, http.Header, string, error) {
				mu.Lock()
				defer mu.Unlock()
				next = append(next[1:], next[0])
				return 200, jsonHeader, strings.Repeat("1", 1+len(next)*30), next[0]
			})
		n := rapid.IntRange(1, 30).Draw(rt, "requests")
		for range n {
			r := request(rapid.SampledFrom([]string{"GET", "GET", "POST"}).Draw(rt, "method"), "/")
			c := one.HTTP(r)
			if rapid.Bool().Draw(rt, "given") {
				c.Send()
			}
			if rapid.Bool().Draw(rt, "answered") {
				c.HeadHTTP(200, jsonHeader, rapid.IntRange(0, 5).Draw(rt, "stream") == 0)
				c.Write([]byte(strings.Repeat("1", rapid.IntRange(0, 120).Draw(rt, "body")))) //nolint:errcheck // never
			}
			c.End(rapid.Bool().Draw(rt, "whole"))
			c.End(true)
		}
		if c := settled(t, m, one); c.Sampled != uint64(n) {
			rt.Fatalf("%d of %d were sampled", c.Sampled, n)
		}
	})
}

func TestOfAShareAsManyAreSampled(t *testing.T) {
	t.Parallel()
	m := serve(t)
	one := plan(t, m, table(.1, semper.Shadowing{}), func(*http.Request) (int, http.Header, string, error) { return 0, nil, "", ErrNobody })
	const n = 100_000
	for range n {
		one.HTTP(request("GET", "/")).End(false)
	}
	if c := settled(t, m, one); c.Sampled < n/10-1000 || c.Sampled > n/10+1000 { // ten standard deviations
		t.Errorf("%d of %d", c.Sampled, n)
	}
}

// TestATableWithoutItEndsTheCopies, and what was counted is told for a while.
func TestATableWithoutItEndsTheCopies(t *testing.T) {
	t.Parallel()
	m := serve(t)
	one := plan(t, m, table(1, semper.Shadowing{}), func(*http.Request) (int, http.Header, string, error) { return 200, nil, "", nil })
	now := time.Now()
	if by, err := m.Plan(table(1, semper.Shadowing{})[:1], nil, now); err != nil || len(by) != 0 {
		t.Fatal(by, err)
	}
	if one.HTTP(request("GET", "/")) != nil {
		t.Error("a request is copied for a table that is gone")
	}
	if len(m.Counts(now)) != 1 || len(m.Counts(now.Add(keptFor))) != 0 {
		t.Error("counts are forgotten at once, or never")
	}
}

func TestRulesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{`{"rules":[{"path":"body["}]}`, `{"rules":1}`, `nothing`} {
		by, err := New("edge-1", time.Now()).Plan(table(1, semper.Shadowing{Rules: json.RawMessage(rules)}), nil, time.Now())
		if err == nil || !strings.Contains(err.Error(), string(web)) || by[web] != nil {
			t.Errorf("%s: %v", rules, err)
		}
	}
}

func TestWhatIsCodedIsCompared(t *testing.T) {
	t.Parallel()
	const text = `{"a":1}`
	coded := map[string]func(io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser {
			z, _ := zstd.NewWriter(w) //nolint:errcheck // without options
			return z
		},
	}
	for coding, writer := range coded {
		pack := func(s string) []byte {
			var b stdbytes.Buffer
			w := writer(&b)
			io.WriteString(w, s) //nolint:errcheck // into memory
			w.Close()            //nolint:errcheck // the same
			return b.Bytes()
		}
		if plain, ok := decode(coding, pack(text), 100); !ok || string(plain) != text {
			t.Errorf("%s: %q %v", coding, plain, ok)
		}
		if plain, ok := decode(coding, pack(strings.Repeat("x", 8<<20)), 1<<20); ok || len(plain) > 1<<20+1 {
			t.Errorf("%s: a bomb became %d bytes", coding, len(plain))
		}
		if _, ok := decode(coding, []byte("no such coding"), 100); ok {
			t.Errorf("%s: what is none was decoded", coding)
		}
	}
	if _, ok := decode("br", nil, 1); ok {
		t.Error("what is not known was decoded")
	}
}

func TestEndpointsAreFew(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/": "GET /", "/items/42": "GET /items/{}", "/v1/users/ann@example.org": "GET /v1/users/{}", "/a/0af7651916cd43dd8448eb211c80319c": "GET /a/{}",
		"/shop.Cart/Add": "GET /shop.Cart/Add", "/2026/11/21": "GET /{}/{}/{}", "/a/b/c/d/e/f/g/h/i/j": "GET /a/b/c/d/e/f/g/h/…", "/%F0%9F": "GET /{}",
		"/reset/" + strings.Repeat("a", 25): "GET /reset/{}",
	} {
		if got := endpoint("GET", path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// FuzzSecretsAreMasked: what stands under the name of a secret is in no example, wherever it is and whatever is wrong with the answer
// around it.
func FuzzSecretsAreMasked(f *testing.F) {
	f.Add(`{"user":{"password":"SECRET"}}`, `{"user":[{"password":"SECRET2"}]}`, "application/json")
	f.Add(`{"a":"Bearer SECRET"}`, `{"a":`, "application/json")
	f.Add(`<p>SECRET</p>`, `{"token":"SECRET"}`, "text/html")
	const secret = "Zq7hunter2Wx"
	f.Fuzz(func(t *testing.T, was, is, media string) {
		if strings.Contains(was+is, secret) {
			t.Skip()
		}
		m := New("edge-1", time.Now())
		defer m.Close()
		by, err := m.Plan(table(1, semper.Shadowing{}), func(semper.PoolKey) Sender { return Sender{} }, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		hide := func(s string) string {
			b, err := json.Marshal(map[string]any{"rest": s, "password": secret, "list": []any{map[string]any{"api_key": secret + s}}, "note": "Bearer " + secret})
			if err != nil {
				t.Skip()
			}
			return string(b)
		}
		one := by[web]
		c := &Copy{m: one, endpoint: "GET /", again: true}
		for i, body := range []string{hide(was), hide(is), is} {
			c.parts[i].Response.Status, c.parts[i].Response.Header = 200+i, http.Header{"Content-Type": {media}}
			if i < second {
				c.parts[i].Response.Header.Set("Content-Type", "application/json")
			}
			c.parts[i].take(c, []byte(body))
		}
		one.weigh(c)
		told, err := json.Marshal(m.Counts(time.Now()))
		if err != nil || strings.Contains(string(told), secret) {
			t.Fatalf("%v %s", err, told)
		}
	})
}
