package edge

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"semper"
)

// said is a route of a table with words: match, answer and policy.
func said(pool semper.PoolKey, path, match, answer, policy string) semper.Route {
	r := semper.Route{Path: path, Pool: pool}
	r.Match, r.Answer, r.Policy = raw(match), raw(answer), raw(policy)
	return r
}

func raw(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// TestATablesWords: what a table says of its routes holds with every driver, and over a cutover.
func TestATablesWords(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		one, two := start(t, "tcp", "web.r1.1", shows("one")), start(t, "tcp", "web.r2.1", shows("two"))
		words := func(tab *semper.Table) {
			tab.Routes = append(tab.Routes,
				said(webPool, "/limited", "", "", `{"rate_limit":[{"requests":2,"period":"1h"}],"pages":{"429":{"type":"text/x","body":"slowly"}}}`),
				said(webPool, "/api", "", "", `{"rewrite":{"strip":true},"headers":{"request":{"set":{"X-Edge":"yes"}},"response":{"remove":"Server"}},"limits":{"body":"4B"}}`))
			tab.Rules = append(tab.Rules,
				said("", "/old", "", `{"redirect":{"to":"/new{rest}"}}`, ""), said("", "/ok", `{"exact":"/ok"}`, `{"respond":{"status":202,"body":"fine"}}`, ""),
				said(webPool, "/", `{"methods":["DELETE"]}`, `{"respond":405}`, ""))
		}
		ask := func(method, path, body string) (int, http.Header, string) {
			t.Helper()
			req, err := http.NewRequestWithContext(t.Context(), method, f.url(path), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client(t).Transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, resp.Header, drainBody(t, resp)
		}
		f.table(1, words, one.Backend)
		for _, tc := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"GET", "/api/users", "", 200, "one GET /users"}, {"POST", "/api/users", "12345", 413, ""},
			{"GET", "/old/x?a=b", "", 308, ""}, {"GET", "/ok", "", 202, "fine"}, {"GET", "/okay", "", 200, "one GET /okay"}, {"GET", "/ok/x", "", 200, "one GET /ok/x"},
			{"DELETE", "/x", "", 405, ""}, {"GET", "/x", "", 200, "one GET /x"},
		} {
			status, h, body := ask(tc.method, tc.path, tc.body)
			if status != tc.status || !strings.HasPrefix(body, tc.want) {
				t.Errorf("%s %s: %d %s, want %d %s", tc.method, tc.path, status, body, tc.status, tc.want)
			}
			if strings.HasPrefix(tc.path, "/api/") && status == 200 && (h.Get("Server") != "" || !strings.Contains(body, "x=yes")) {
				t.Errorf("%s: %v %s", tc.path, h, body)
			}
			if status == 308 && h.Get("Location") != "/new/x" {
				t.Errorf("%v", h)
			}
		}
		for i, want := range []int{200, 200, 429} {
			if i == 1 {
				f.table(2, words, two.Backend) // what stays as it is keeps its counts
			}
			if status, h, body := ask("GET", "/limited", ""); status != want || want == 429 && (body != "slowly" || h.Get("Retry-After") == "") {
				t.Errorf("request %d: %d %v %s", i, status, h, body)
			}
		}
		f.settled(2)
	})
}

// TestATablesClientsStick: a cookie brings back to its instance, from table to table and from edge to edge.
func TestATablesClientsStick(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		a, b := start(t, "tcp", "web.r1.1", answer("a")), start(t, "tcp", "web.r1.2", answer("b"))
		key := []byte(strings.Repeat("k", 32))
		sticks := func(tab *semper.Table) {
			tab.StickyKey, tab.Routes = key, []semper.Route{said(webPool, "/", "", "", `{"sticky":{"cookie":"where"}}`)}
		}
		f.table(1, sticks, a.Backend, b.Backend)
		resp, first := get(t, client(t), f.url("/"))
		if len(resp.Cookies()) != 1 {
			t.Fatalf("cookies %v", resp.Cookies())
		}
		f.table(1, sticks, b.Backend, a.Backend)
		other := newFixture(t, func(o *Options) { o.ID = "edge-2" })
		other.table(1, sticks, a.Backend, b.Backend)
		for i := range 20 {
			url := []string{f.url("/"), other.url("/")}[i%2]
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.AddCookie(resp.Cookies()[0])
			back, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if body := drainBody(t, back); body != first {
				t.Errorf("came back to %s from %s", body, first)
			}
		}
	})
}

// TestATablesH2C: instances that speak HTTP/2 without TLS get HTTP/2, with its trailers.
func TestATablesH2C(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Grpc-Status")
			fmt.Fprint(w, r.Proto)
			w.(http.Flusher).Flush() //nolint:errcheck,forcetypeassert // it is one
			w.Header().Set("Grpc-Status", "0")
		}))
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true) // and no HTTP/1
		s.Start()
		t.Cleanup(s.Close)
		f.table(1, func(tab *semper.Table) {
			tab.Pools[0].Protocol = semper.ProtocolH2C
			tab.Pools[0].Policy = []byte(`{"slow_start":"1s","outlier":{"consecutive":2},"keepalive":{"timeout":"1s"}}`)
		}, semper.Backend{ID: "web.r1.1", Address: s.Listener.Addr().String(), Health: semper.Health{Kind: semper.HealthHTTP, Path: "/", Timeout: semper.Duration(time.Second)}})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Te", "trailers")
		resp, err := client(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body := drainBody(t, resp)
		if body != "HTTP/2.0" || resp.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("%s %s %v", resp.Status, body, resp.Trailer)
		}
		f.settled(1)
	})
}

// TestASilentInstance: an app's instance may pause in the middle of an answer, unless its route says how long at most.
func TestASilentInstance(t *testing.T) {
	t.Parallel()
	configured(t, func(t *testing.T, f *fixture) {
		goOn := make(chan struct{})
		a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begin ")
			w.(http.Flusher).Flush() //nolint:errcheck,forcetypeassert // it is one
			select {
			case <-goOn:
			case <-r.Context().Done():
			}
			io.WriteString(w, "end")
		}))
		f.table(1, func(tab *semper.Table) {
			tab.Routes = append(tab.Routes, said(webPool, "/impatient", "", "", `{"timeouts":{"body":"50ms"}}`))
		}, a.Backend)
		resp, err := client(t).Get(f.url("/"))
		if err != nil {
			t.Fatal(err)
		}
		cut, err := client(t).Get(f.url("/impatient"))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(cut.Body); err == nil {
			t.Errorf("whole: %q, where the route wants a byte every 50 ms", b)
		}
		cut.Body.Close()
		close(goOn)
		if body := drainBody(t, resp); body != "begin end" {
			t.Errorf("%q", body)
		}
	})
}
