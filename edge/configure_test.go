package edge

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/edge/config"
	"semper/edge/route"
)

// configured has an edge for each way go by what config says, in a subtest.
func configured(t *testing.T, do func(t *testing.T, f *fixture)) {
	ways(t, func(t *testing.T, way func(*Options)) { do(t, newFixture(t, way)) })
}

// to is a rule that leads to a pool; change may make it another.
func to(pool string, change func(*route.Rule)) route.Rule {
	r := route.Rule{Action: &route.Forward{Pools: []route.Share{{Pool: pool, Weight: 1}}}, Policy: route.DefaultPolicy()}
	if change != nil {
		change(&r)
	}
	return r
}

// goBy makes the edge go by rules and pools.
func (f *fixture) goBy(pools map[string]PoolConfig, rules ...route.Rule) {
	f.t.Helper()
	m, err := route.Compile(rules)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.Configure(Config{Rules: m, Pools: pools}); err != nil {
		f.t.Fatal(err)
	}
}

func pools(name string, apps ...*app) map[string]PoolConfig {
	p := DefaultPool()
	for _, a := range apps {
		p.Upstreams = append(p.Upstreams, Upstream{Address: a.Address, Weight: 1})
	}
	return map[string]PoolConfig{name: p}
}

// shows answers with what it was asked.
func shows(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "an app")
		fmt.Fprintf(w, "%s %s %s host=%s x=%s", name, r.Method, r.RequestURI, r.Host, strings.Join(r.Header["X-Edge"], ","))
	}
}

func TestRulesAnswer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	configured(t, func(t *testing.T, f *fixture) {
		a := start(t, "tcp", "web.r1.1", shows("a"))
		f.goBy(pools("web", a),
			to("web", nil),
			to("web", func(r *route.Rule) {
				r.Match.Path, r.Policy.Rewrite = "/api", route.Rewrite{Strip: true, Host: "app.internal"}
				r.Policy.Headers.Request.Set = route.Fields{{Name: "X-Edge", Value: "one"}}
				r.Policy.Headers.Response = route.Edit{Remove: []string{"Server"}, Set: route.Fields{{Name: "X-Frame-Options", Value: "DENY"}}}
			}),
			route.Rule{Match: route.Match{Path: "/old"}, Action: &route.Redirect{To: "/new{rest}{query}", Status: 308}, Policy: route.DefaultPolicy()},
			route.Rule{Match: route.Match{Path: "/ok", Exact: true}, Action: &route.Respond{Status: 200, Body: []byte("ok")}, Policy: route.DefaultPolicy()},
			to("web", func(r *route.Rule) {
				r.Match = route.Match{Path: "/files"}
				r.Policy.Rewrite.Strip = true
				r.Policy.ErrorPages = []route.ErrorPage{{From: 404, To: 404, Type: "text/css", Body: []byte("nothing")}}
				r.Action = &route.Files{Dir: dir}
			}),
		)
		c := client(t)
		for _, tc := range []struct{ path, status, body, field, value string }{
			{"/x?q", "200 OK", "a GET /x?q host=" + f.addr + " x=", "Server", "an app"},
			{"/api/users?q=1", "200 OK", "a GET /users?q=1 host=app.internal x=one", "X-Frame-Options", "DENY"},
			{"/api/users", "200 OK", "a GET /users host=app.internal x=one", "Server", ""},
			{"/old/1?x=y", "308 Permanent Redirect", "", "Location", "/new/1?x=y"},
			{"/ok", "200 OK", "ok", "Content-Type", "text/plain; charset=utf-8"},
			{"/files/a.txt", "200 OK", "a file", "Cache-Control", "no-cache"},
			{"/files/b.txt", "404 Not Found", "nothing", "Content-Type", "text/css"},
		} {
			resp, body := get(t, c, f.url(tc.path))
			if resp.Status != tc.status || body != tc.body || resp.Header.Get(tc.field) != tc.value {
				t.Errorf("%s: %s %q %v", tc.path, resp.Status, body, resp.Header)
			}
		}
	})
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		}))
		f.goBy(pools("web", a), to("web", func(r *route.Rule) { r.Policy.Limits.Body = 10 }))
		for _, tc := range []struct {
			length, size int
			status       string
		}{{10, 10, "200 OK"}, {11, 11, "413 Request Entity Too Large"}, {-1, 10, "200 OK"}, {-1, 11, "413 Request Entity Too Large"}} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url("/"), io.MultiReader(strings.NewReader(strings.Repeat("x", tc.size))))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = int64(tc.length)
			resp, err := client(t).Do(req)
			if err != nil {
				t.Errorf("%+v: %v", tc, err)
				continue
			}
			drainBody(t, resp)
			if got, _, _ := strings.Cut(resp.Status, " "); got != tc.status[:3] {
				t.Errorf("%+v: %s", tc, resp.Status)
			}
		}
	})
}

func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		a := start(t, "tcp", "web.r1.1", says(1))
		limited := to("web", func(r *route.Rule) {
			r.Policy.RateLimit = []route.RateLimit{{Requests: 2, Period: time.Hour, By: route.Key{From: route.FromField, Name: "X-User"}}}
			r.Policy.ErrorPages = []route.ErrorPage{{From: 429, To: 429, Type: "text/x", Body: []byte("slowly")}}
		})
		f.goBy(pools("web", a), limited)
		ask := func(user string) *http.Response {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-User", user)
			resp, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if body := drainBody(t, resp); resp.StatusCode == 429 && body != "slowly" {
				t.Errorf("page %q", body)
			}
			return resp
		}
		for i, want := range []int{200, 200, 429} {
			if i == 2 {
				f.goBy(pools("web", a), limited, route.Rule{Match: route.Match{Path: "/other"}, Action: &route.Respond{Status: 204}, Policy: route.DefaultPolicy()})
			}
			if resp := ask("a"); resp.StatusCode != want || want == 429 && resp.Header.Get("Retry-After") == "" {
				t.Errorf("request %d: %s %v; what a Config does not change keeps its counts", i, resp.Status, resp.Header)
			}
		}
		if resp := ask("b"); resp.StatusCode != 200 {
			t.Errorf("another user: %s", resp.Status)
		}
	})
}

func TestNoMoreThanFitIn(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		var inside, most atomic.Int64
		release := make(chan struct{})
		slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-release
			inside.Add(-1)
			io.WriteString(w, "done") //nolint:errcheck // the client checks
		})
		a, b := start(t, "tcp", "web.r1.1", slow), start(t, "tcp", "web.r1.2", slow)
		f.goBy(pools("web", a, b), to("web", func(r *route.Rule) {
			r.Policy.MaxInFlight, r.Policy.Queue = 2, route.Queue{Length: 3, Deadline: 20 * time.Second}
		}))
		status := make(chan string, 8)
		for range cap(status) {
			go func() {
				resp, err := client(t).Get(f.url("/"))
				if err != nil {
					status <- err.Error()
					return
				}
				resp.Body.Close() //nolint:errcheck // not wanted
				status <- resp.Status + " " + resp.Header.Get("X-Semper-Error")
			}()
		}
		if s := <-status; s != "503 Service Unavailable busy" {
			t.Errorf("of eight one finds no room, at once: %s", s)
		}
		eventually(t, "all room is used", func() bool { return inside.Load() == 4 })
		close(release)
		for range 7 {
			if s := <-status; s != "200 OK " {
				t.Errorf("got %s", s)
			}
		}
		if most.Load() != 4 {
			t.Errorf("%d at once, want four", most.Load())
		}
	})
}

func TestAnswersThatAreTriedAgain(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		bad := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
		good := start(t, "tcp", "web.r1.2", says(1))
		f.goBy(pools("web", bad, good), to("web", func(r *route.Rule) {
			r.Policy.Retry.Tries, r.Policy.Retry.On = 2, []string{"503"}
		}), to("web", func(r *route.Rule) { r.Match.Path = "/once" }))
		c, seen := client(t), map[int]int{}
		for range 30 {
			if resp, _ := get(t, c, f.url("/")); resp.StatusCode != 200 {
				t.Fatalf("got %s", resp.Status)
			}
			resp, _ := get(t, c, f.url("/once"))
			seen[resp.StatusCode]++
		}
		if seen[503] == 0 || seen[200] == 0 {
			t.Errorf("a rule that does not say so tries nothing again: %v", seen)
		}
	})
}

func TestWhoFailsIsLeftOut(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		var fails atomic.Bool
		var asked atomic.Int64
		bad := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			if fails.Load() {
				w.WriteHeader(500)
			}
		})
		good := start(t, "tcp", "web.r1.2", says(1))
		c := client(t)
		leftOut := func(pool string, base time.Duration) int {
			p := pools("web", start(t, "tcp", "web.r1.1", bad), good)["web"]
			p.Outlier = OutlierConfig{Consecutive: 3, Status5xx: true, Base: base, Max: base, MaxEjected: 50}
			f.goBy(map[string]PoolConfig{pool: p}, to(pool, func(r *route.Rule) { r.Policy.Balance.Algorithm = route.RoundRobin }))
			fails.Store(true)
			defer fails.Store(false)
			failed := 0
			for range 12 {
				if resp, _ := get(t, c, f.url("/")); resp.StatusCode == 500 {
					failed++
				}
			}
			return failed
		}
		if failed := leftOut("for long", time.Hour); failed != 3 {
			t.Errorf("%d of 12 failed: after three it gets nothing for an hour", failed)
		}
		if failed := leftOut("for a moment", 50*time.Millisecond); failed < 3 {
			t.Errorf("%d of 12 failed, want three at least: this proves nothing", failed)
		}
		before := asked.Load()
		eventually(t, "it is tried again", func() bool {
			get(t, c, f.url("/"))
			return asked.Load() > before
		})
	})
}

func TestProbes(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		var well atomic.Bool
		sick := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/healthz" && !well.Load() || r.Host == "" {
				w.WriteHeader(500)
			}
			io.WriteString(w, "sick") //nolint:errcheck // the client checks
		}))
		healthy := start(t, "tcp", "web.r1.2", answer("healthy"))
		p := pools("web", sick, healthy)["web"]
		p.Probe = ProbeConfig{Path: "/healthz", Interval: 5 * time.Millisecond, Timeout: 5 * time.Second, Rise: 2, Fall: 2}
		f.goBy(map[string]PoolConfig{"web": p}, to("web", nil))
		c := client(t)
		only := func(want string) bool {
			for range 20 {
				if _, body := get(t, c, f.url("/")); body != want {
					return false
				}
			}
			return true
		}
		eventually(t, "only the healthy one is asked", func() bool { return only("healthy") })
		well.Store(true)
		eventually(t, "both are asked", func() bool {
			_, body := get(t, c, f.url("/"))
			return body == "sick"
		})
	})
}

func TestClientsStick(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		a, b := start(t, "tcp", "web.r1.1", answer("a")), start(t, "tcp", "web.r1.2", answer("b"))
		rule := to("web", func(r *route.Rule) {
			r.Policy.Sticky = route.Sticky{Cookie: "where", By: route.ByInstance, Age: time.Hour, SameSite: "lax"}
		})
		f.goBy(pools("web", a, b), rule)
		for range 5 {
			resp, first := get(t, client(t), f.url("/"))
			cookies := resp.Cookies()
			if len(cookies) != 1 || cookies[0].Name != "where" || !cookies[0].HttpOnly {
				t.Fatalf("cookies %v", cookies)
			}
			f.goBy(pools("web", b, a), rule) // another Config, and the same place
			for range 10 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				req.AddCookie(cookies[0])
				resp, err := client(t).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if body := drainBody(t, resp); body != first || len(resp.Cookies()) != 0 {
					t.Errorf("came back to %s from %s, with %v", body, first, resp.Cookies())
				}
			}
		}
	})
}

func TestAResponseInTime(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		over := make(chan struct{})
		t.Cleanup(func() { close(over) })
		a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/late" {
				w.WriteHeader(http.StatusOK)
				http.NewResponseController(w).Flush() //nolint:errcheck // the client checks
			}
			select {
			case <-over:
			case <-r.Context().Done():
			}
		}))
		// Each by a rule of its own: an answer that is to stall may take its time to begin.
		f.goBy(pools("web", a),
			to("web", func(r *route.Rule) { r.Match.Path, r.Policy.Timeouts.Response = "/late", 50*time.Millisecond }),
			to("web", func(r *route.Rule) { r.Match.Path, r.Policy.Timeouts.Body = "/stalls", 50*time.Millisecond }))
		if resp, _ := get(t, client(t), f.url("/late")); resp.StatusCode != 504 || resp.Header.Get("X-Semper-Error") != "timeout" {
			t.Errorf("got %s %v", resp.Status, resp.Header)
		}
		resp, err := client(t).Get(f.url("/stalls"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("an answer that stalls ends like a whole one")
		}
		resp.Body.Close() //nolint:errcheck // read
	})
}

func TestSplitByKey(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		a, b := start(t, "tcp", "web.r1.1", answer("a")), start(t, "tcp", "web.r1.2", answer("b"))
		both := pools("a", a)
		both["b"] = pools("b", b)["b"]
		f.goBy(both, route.Rule{Policy: route.DefaultPolicy(), Action: &route.Forward{
			Pools: []route.Share{{Pool: "a", Weight: 1}, {Pool: "b", Weight: 1}}, By: route.Key{From: route.FromQuery, Name: "id"},
		}})
		c, seen := client(t), map[string]int{}
		for i := range 40 {
			url := f.url(fmt.Sprintf("/?id=%d", i))
			_, first := get(t, c, url)
			if _, again := get(t, c, url); again != first {
				t.Errorf("id %d: %s, then %s", i, first, again)
			}
			seen[first]++
		}
		if seen["a"] == 0 || seen["b"] == 0 {
			t.Errorf("split into %v", seen)
		}
	})
}

func TestTheBackendLearnsWhoAsks(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		first := make(chan string, 1)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close() //nolint:errcheck // a test's
			br := bufio.NewReader(c)
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			first <- line
			if _, err := http.ReadRequest(br); err == nil {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") //nolint:errcheck // the client checks
			}
		}()
		t.Cleanup(func() { l.Close(); <-over }) //nolint:errcheck // a test's
		p := DefaultPool(l.Addr().String())
		p.ProxyProtocol = 1
		f.goBy(map[string]PoolConfig{"web": p}, to("web", nil))
		if resp, _ := get(t, client(t), f.url("/")); resp.StatusCode != 200 {
			t.Errorf("got %s", resp.Status)
		}
		if line := <-first; !strings.HasPrefix(line, "PROXY TCP4 127.0.0.1 127.0.0.1 ") {
			t.Errorf("it begins with %q", line)
		}
	})
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	none, err := route.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	one, err := route.Compile([]route.Rule{to("web", nil)})
	if err != nil {
		t.Fatal(err)
	}
	files, err := route.Compile([]route.Rule{{Action: &route.Files{Dir: "/nowhere/at/all"}, Policy: route.DefaultPolicy()}})
	if err != nil {
		t.Fatal(err)
	}
	twice := DefaultPool("127.0.0.1:1", "127.0.0.1:1")
	for name, c := range map[string]Config{
		"no rules": {}, "a rule to nowhere": {Rules: one}, "no port": {Rules: none, Pools: map[string]PoolConfig{"web": DefaultPool("127.0.0.1")}},
		"one twice": {Rules: none, Pools: map[string]PoolConfig{"web": twice}}, "a short key": {Rules: none, Sticky: config.StickyKeys{Current: []byte("short")}},
		"no directory": {Rules: files},
	} {
		if err := f.Configure(c); semper.CodeOf(err) != semper.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := start(t, "tcp", "web.r1.1", says(1))
	f.goBy(pools("web", a), to("web", nil))
	if err := f.Configure(Config{}); err == nil {
		t.Error("taken")
	}
	if resp, _ := get(t, client(t), f.url("/")); resp.StatusCode != 200 {
		t.Errorf("after a Config that is none: %s", resp.Status)
	}
	if err := f.Apply(semper.Table{Epoch: 1}); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("a table beside a Config: %v", err)
	}
}

func TestWhatAConfigLeavesOutIsDrained(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		arrived, release := make(chan struct{}), make(chan struct{})
		old := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(arrived)
			<-release
			io.WriteString(w, "old") //nolint:errcheck // the client checks
		}))
		next := start(t, "tcp", "web.r1.2", answer("new"))
		f.goBy(pools("web", old), to("web", nil))
		got := make(chan string, 1)
		go func() {
			resp, err := client(t).Get(f.url("/"))
			if err != nil {
				got <- err.Error()
				return
			}
			b, _ := io.ReadAll(resp.Body) //nolint:errcheck // compared
			resp.Body.Close()             //nolint:errcheck // read
			got <- string(b)
		}()
		<-arrived
		f.goBy(pools("web", next), to("web", nil))
		for range 5 {
			if _, body := get(t, client(t), f.url("/")); body != "new" {
				t.Errorf("got %s by the Config before", body)
			}
		}
		close(release)
		if body := <-got; body != "old" {
			t.Errorf("what was under way got %q", body)
		}
		eventually(t, "the one left out is given up", func() bool {
			f.registry.Lock()
			defer f.registry.Unlock()
			return len(f.backends) == 1
		})
	})
}

func TestAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("<p>all work and no play</p>", 100)
	configured(t, func(t *testing.T, f *fixture) {
		next := make(chan struct{})
		a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/breaks":
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, page)               //nolint:errcheck // the client checks
				http.NewResponseController(w).Flush() //nolint:errcheck // the client checks
				panic(http.ErrAbortHandler)
			case "/pieces":
				w.Header().Set("Content-Type", "text/plain")
				for i := range 3 {
					fmt.Fprintf(w, "piece %d\n", i)
					http.NewResponseController(w).Flush() //nolint:errcheck // the client checks
					<-next
				}
			default:
				w.Header().Set("Etag", `"v1"`)
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, page) //nolint:errcheck // the client checks
			}
		}))
		zip := func(r *route.Rule) {
			r.Policy.Compress = route.Compress{Algorithms: []string{"zstd", "gzip"}, Minimum: 1 << 10}
		}
		f.goBy(pools("web", a), to("web", zip), route.Rule{
			Match: route.Match{Path: "/local", Exact: true}, Policy: to("web", zip).Policy,
			Action: &route.Respond{Status: 200, Fields: route.Fields{{Name: "Content-Type", Value: "text/html"}}, Body: []byte(page)},
		})
		c := client(t)
		c.Transport.(*http.Transport).DisableCompression = false //nolint:forcetypeassert // it is one
		for _, path := range []string{"/", "/local"} {
			resp, body := get(t, c, f.url(path)) // net/http asks for gzip, and undoes it
			if !resp.Uncompressed || body != page || resp.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s: %v, %d bytes", path, resp.Header, len(body))
			}
		}
		if resp, body := get(t, client(t), f.url("/")); body != page || resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Etag") != `"v1"` {
			t.Errorf("who takes none gets %v", resp.Header)
		}
		resp, err := c.Get(f.url("/pieces"))
		if err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(resp.Body)
		for i := range 3 {
			if line, err := br.ReadString('\n'); err != nil || line != fmt.Sprintf("piece %d\n", i) {
				t.Fatalf("piece %d: %q %v", i, line, err)
			}
			next <- struct{}{}
		}
		if !resp.Uncompressed {
			t.Error("pieces are not compressed")
		}
		resp.Body.Close() //nolint:errcheck // read
		if resp, err = c.Get(f.url("/breaks")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("an answer that breaks off ends like a whole one")
		}
		resp.Body.Close() //nolint:errcheck // read
	})
}
