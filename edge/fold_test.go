package edge

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unsafe"

	"semper"
	"semper/edge/wait"
	"semper/edge/witness"
)

// TestAHeldRequestIsSmall: what the edge keeps of one, beside its head and what its connection costs at rest. bench/hold measures all
// of it; this says at once who made it larger.
func TestAHeldRequestIsSmall(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]struct{ size, most uintptr }{
		"fold":            {unsafe.Sizeof(fold{}), 288},
		"wait.Wait":       {unsafe.Sizeof(wait.Wait{}), 192},
		"witness.Request": {unsafe.Sizeof(witness.Request{}), 352},
		"session":         {unsafe.Sizeof(session{}), 128}, // at rest too
	} {
		if part.size > part.most {
			t.Errorf("a %s has %d bytes, more than %d", name, part.size, part.most)
		}
	}
}

// TestFoldedIsTheSameRequest: whoever waited has one name, one trace and one place in the books, before and after, counts once
// against the rate limit, keeps its way by its cookie, and is forwarded as the rule says that it has then.
func TestFoldedIsTheSameRequest(t *testing.T) {
	t.Parallel()
	const (
		parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		by     = `{"rate_limit":[{"requests":2,"period":"1h"}],"headers":{"request":{"set":{"X-Rule":"%s"}}},"rewrite":{"prefix":"/%[1]s","host":"%[1]s.example"}}`
	)
	ways(t, func(t *testing.T, way func(*Options)) {
		var log string
		f := newFixture(t, way, logged(t, &log))
		says := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Asked", r.Header.Get("X-Request-Id"))
			fmt.Fprintf(w, "%s %s %s %s", r.Host, r.URL.Path, strings.Join(r.Header["X-Rule"], ","), r.Header.Get("Traceparent"))
		}
		one, two := start(t, "tcp", "web.r1.1", http.HandlerFunc(says)), start(t, "tcp", "web.r2.1", http.HandlerFunc(says))
		ruled := func(name string, held bool) func(*semper.Table) {
			return func(tab *semper.Table) {
				tab.Routes = []semper.Route{said(webPool, "/", "", "", fmt.Sprintf(by, name))}
				if held {
					holding(false, semper.HoldLimits{})(tab)
				}
			}
		}
		f.table(1, ruled("old", true), one.Backend)
		_, given := rawRequest(t, f, "GET /a HTTP/1.1\r\nHost: a\r\nTraceparent: "+parent+"\r\nUser-Agent: mine\r\n\r\n")
		eventually(t, "one waits", func() bool { return f.State().Held[webPool] == 1 })
		_, made := rawRequest(t, f, "GET /b HTTP/1.1\r\nHost: a\r\nUser-Agent: mine\r\n\r\n")
		eventually(t, "two wait", func() bool { return f.State().Held[webPool] == 2 })
		f.table(2, ruled("new", false), two.Backend)
		ids := map[string]string{}
		for path, in := range map[string]*bufio.Reader{"/a": given, "/b": made} {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(path, err)
			}
			body := drainBody(t, resp)
			id := resp.Header.Get("X-Request-Id")
			if id == "" || id != resp.Header.Get("X-Asked") || resp.Header.Get("X-Semper-Release") != "r2" {
				t.Errorf("%s: the answer has %v", path, resp.Header)
			}
			want := "new.example /new" + path + " new "
			if path == "/a" {
				want += parent
			}
			if !strings.HasPrefix(body, want) || len(body) != len(want)+len(parent)*strings.Count(path, "b") {
				t.Errorf("%s: %q, want %q", path, body, want)
			}
			ids[path] = id
		}
		if got, want := f.settled(2), (semper.Ledger{Accepted: 2, Served: 2, Held: 2}); got != want {
			t.Errorf("r2: %+v, want %+v", got, want)
		}
		if resp, _ := get(t, client(t), f.url("/c")); resp.StatusCode != 429 {
			t.Errorf("a third in the hour: %s", resp.Status)
		}
		eventually(t, "three lines", func() bool { return len(f.lines(log)) == 3 })
		for path, id := range ids {
			l := lineOf(t, f.lines(log), path)
			if l["request_id"] != id || l["user_agent"] != "mine" || l["host"] != "a" || l["held"] == nil || l["instance"] != "bar/web.r2.1" {
				t.Errorf("%s: the line is %v", path, l)
			}
		}
	})
}
