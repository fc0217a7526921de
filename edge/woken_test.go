package edge

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semper"
	"semper/edge/route"
)

// repeats answers with what it was asked, and how, twice over if that is asked by HTTP/2.
func repeats(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-Asked", r.Header.Get("X-Request-Id"))
	fmt.Fprintf(w, "%s %s %s by %s, sum %s", r.Method, r.RequestURI, b, r.Proto, r.Trailer.Get("X-Sum"))
}

// changes are what the rule of a request that waits may become, most of which no driver carries.
func changes(t *testing.T) map[string]func(*semper.Table) {
	t.Helper()
	one := start(t, "tcp", "web.r2.1", http.HandlerFunc(repeats))
	two := httptest.NewUnstartedServer(http.HandlerFunc(repeats))
	two.Config.Protocols = new(http.Protocols)
	two.Config.Protocols.SetUnencryptedHTTP2(true) // and no HTTP/1
	two.Start()
	t.Cleanup(two.Close)
	with := func(answer, policy string) func(*semper.Table) {
		return func(tab *semper.Table) {
			tab.Pools[0].Backend = []semper.Backend{one.Backend}
			tab.Routes = []semper.Route{said(webPool, "/", "", "", policy)}
			if answer != "" { // it leads to no pool
				tab.Rules = []semper.Route{said("", "/", `{"methods":["GET","POST","PUT"]}`, answer, "")}
			}
		}
	}
	return map[string]func(*semper.Table){
		"h2c": func(tab *semper.Table) {
			tab.Pools[0].Protocol = semper.ProtocolH2C
			tab.Pools[0].Backend = []semper.Backend{{ID: "web.r2.1", Address: two.Listener.Addr().String()}}
		},
		"nothing":  with("", ""),
		"compress": with("", `{"compress":{"algorithms":["gzip"],"minimum":"1B"}}`),
		"hedge":    with("", `{"hedge":{"after":"10s"}}`),
		"rewrite":  with("", `{"rewrite":{"prefix":"/new"}}`),
		"redirect": with(`{"redirect":{"to":"/new"}}`, ""),
		"respond":  with(`{"respond":{"status":202,"body":"fine"}}`, ""),
	}
}

// A waiter is a request that waits while its rule changes.
type waitingRequest struct {
	name, method string
	before       string   // sent before the rule changes; all up to the content is the head
	after        []string // sent when it has: in pieces
	content      string
	sum          string
	more         int // requests behind it in before
	direct       bool
}

func waitingRequests() []waitingRequest {
	const id = "X-Mine: yes\r\nAccept-Encoding: gzip\r\n"
	head := func(method, fields string) string {
		return method + " /a HTTP/1.1\r\nHost: a\r\n" + id + fields + "\r\n"
	}
	const chunked = "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"
	return []waitingRequest{
		{name: "get", method: "GET", before: head("GET", "")},
		{name: "length", method: "POST", before: head("POST", "Content-Length: 5\r\n") + "hello", content: "hello"},
		{name: "part of a length", method: "POST", before: head("POST", "Content-Length: 5\r\n") + "he", after: []string{"l", "lo"}, content: "hello"},
		{name: "nothing of a length", method: "PUT", before: head("PUT", "Content-Length: 5\r\n"), after: []string{"hello"}, content: "hello"},
		{name: "chunks", method: "POST", before: head("POST", chunked) + "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 5\r\n\r\n", content: "hello", sum: "5"},
		{name: "part of a size", method: "POST", before: head("POST", chunked) + "3\r\nhel\r\n0000", after: []string{"2;", "x=\"y\"\r\nl", "o\r\n0\r\nX-Sum: 5\r\n\r\n"}, content: "hello", sum: "5"},
		{name: "part of a chunk", method: "POST", before: head("POST", chunked) + "5\r\nhel", after: []string{"lo\r", "\n0\r\nX-Su", "m: 5\r\n\r\n"}, content: "hello", sum: "5"},
		{name: "part of the trailers", method: "POST", before: head("POST", chunked) + "5\r\nhello\r\n0\r\nX-Su", after: []string{"m: 5\r\n\r\n"}, content: "hello", sum: "5"},
		{name: "no chunk", method: "POST", before: head("POST", chunked) + "0\r\n\r\n"},
		{name: "expects", method: "POST", before: head("POST", "Content-Length: 5\r\nExpect: 100-continue\r\n"), after: []string{"hello"}, content: "hello", direct: true},
		{name: "pipelined", method: "POST", before: head("POST", chunked) + "5\r\nhello\r\n0\r\n\r\n" + head("GET", "") + head("GET", ""), content: "hello", more: 2},
	}
}

// TestWaitingOutlivesItsRule: whatever the rule of a request becomes while it waits, it is answered by the rule as it is then, in
// whatever state its content was, and the books have it once.
func TestWaitingOutlivesItsRule(t *testing.T) {
	t.Parallel()
	for name, change := range changes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range waitingRequests() {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					outlives(t, name, change, r)
				})
			}
		})
	}
}

func outlives(t *testing.T, name string, change func(*semper.Table), r waitingRequest) {
	t.Helper()
	var log string
	f := newFixture(t, logged(t, &log))
	old := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, holding(false, semper.HoldLimits{}), old.Backend)
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test's
	write := func(s string) {
		if _, err := io.WriteString(c, s); err != nil {
			t.Error(err)
		}
	}
	write(r.before)
	eventually(t, "held", func() bool { return f.State().Held[webPool] == 1 })
	f.table(2, change)
	for _, s := range r.after {
		write(s)
	}
	in := bufio.NewReader(c)
	for i := range 1 + r.more {
		method := "GET"
		if i == 0 {
			method = r.method
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		for err == nil && resp.StatusCode == http.StatusContinue {
			resp, err = http.ReadResponse(in, &http.Request{Method: method})
		}
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		path, content, sum := "/a", r.content, r.sum
		if i > 0 {
			content, sum = "", ""
		}
		if name == "rewrite" {
			path = "/new/a"
		}
		checkAnswer(t, name, resp, fmt.Sprintf("%s %s %s by", method, path, content), sum)
	}
	forwarded := name != "redirect" && name != "respond"
	want := semper.Ledger{}
	if forwarded {
		want = semper.Ledger{Accepted: 1 + uint64(r.more), Served: 1 + uint64(r.more), Held: 1}
	}
	if got := f.settled(2); got != want {
		t.Errorf("the new release has %+v, want %+v", got, want)
	}
	if got := f.settled(1); got != (semper.Ledger{}) {
		t.Errorf("the old release has %+v", got)
	}
	checkLines(t, f, log, 1+r.more, forwarded)
}

func checkAnswer(t *testing.T, name string, resp *http.Response, want, sum string) {
	t.Helper()
	if id, asked := resp.Header.Get("X-Request-Id"), resp.Header.Get("X-Asked"); id == "" || asked != "" && asked != id {
		t.Errorf("the client knows the request as %q, the app as %q", id, asked)
	}
	var from io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(from)
		if err != nil {
			t.Fatal(err)
		}
		from = z
	}
	b, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	body, status, proto := string(b), 200, "HTTP/1.1"
	switch name {
	case "redirect":
		if resp.StatusCode != 308 || resp.Header.Get("Location") != "/new" {
			t.Errorf("%s %v", resp.Status, resp.Header)
		}
		return
	case "respond":
		status, want = 202, "fine"
	case "compress":
		if from == resp.Body {
			t.Error("the answer is not compressed")
		}
	case "h2c":
		proto = "HTTP/2.0"
	}
	if name != "respond" {
		want += " " + proto + ", sum " + sum
	}
	if resp.StatusCode != status || body != want {
		t.Errorf("%s %q, want %d %q", resp.Status, body, status, want)
	}
}

// checkLines: each request is told once, by the name that its client knows, and the first has waited.
func checkLines(t *testing.T, f *fixture, log string, n int, forwarded bool) {
	t.Helper()
	var all []map[string]any
	eventually(t, "a line for each", func() bool { all = f.lines(log); return len(all) >= n })
	if len(all) != n {
		t.Errorf("%d lines, want %d: %v", len(all), n, all)
	}
	if all[0]["held"] == nil {
		t.Errorf("it has not waited: %v", all[0])
	}
	for _, l := range all {
		if app := l["app"] == "bar"; app != forwarded || forwarded && (l["release"] != "r2" || l["tries"] != 1.) {
			t.Errorf("a line %v", l)
		}
	}
	m := f.scrape()
	if got := value(m["http_server_request_duration_seconds"]); got != float64(n) {
		t.Errorf("%v requests are counted, want %d", got, n)
	}
	if got := value(m["http_server_active_requests"]); got != 0 {
		t.Errorf("%v requests are still under way", got)
	}
}

// TestFailingOutlivesItsRule: an attempt fails, and the rule has changed meanwhile. Whatever of the content was sent is sent
// again, by the other way.
func TestFailingOutlivesItsRule(t *testing.T) {
	t.Parallel()
	for name, change := range changes(t) {
		for _, r := range waitingRequests() {
			if name != "h2c" && name != "respond" || r.more > 0 || r.direct {
				continue
			}
			if r.method == "POST" { // which may not be sent twice
				r.before, r.method = "PUT"+r.before[len("POST"):], "PUT"
			}
			t.Run(name+", "+r.name, func(t *testing.T) {
				t.Parallel()
				failsOver(t, name, change, r)
			})
		}
	}
}

func failsOver(t *testing.T, name string, change func(*semper.Table), r waitingRequest) {
	t.Helper()
	f := newFixture(t)
	inside, goOn := make(chan struct{}), make(chan struct{})
	old := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack() // to end while content is still to come
		if err != nil {
			t.Error(err)
			return
		}
		inside <- struct{}{}
		<-goOn
		c.Close() //nolint:errcheck // that is the test
	}))
	f.table(1, nil, old.Backend)
	c, in := rawRequest(t, f, r.before)
	<-inside
	f.table(2, change)
	close(goOn)
	eventually(t, "the attempt has failed", func() bool { return f.ledger(1) == semper.Ledger{} })
	for _, s := range r.after {
		if _, err := io.WriteString(c, s); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkAnswer(t, name, resp, fmt.Sprintf("%s /a %s by", r.method, r.content), r.sum)
	want := semper.Ledger{}
	if name == "h2c" {
		want = semper.Ledger{Accepted: 1, Served: 1, Retried: 1}
	}
	if got := f.settled(2); got != want {
		t.Errorf("the new release has %+v, want %+v", got, want)
	}
}

// TestWaitingAtAGateOutlivesItsRule, and takes the place there that it was given.
func TestWaitingAtAGateOutlivesItsRule(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	inside, goOn := make(chan struct{}, 2), make(chan struct{})
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		<-goOn
		repeats(w, r)
	}))
	by := func(policy string) func(*semper.Table) {
		return func(tab *semper.Table) {
			tab.Routes = []semper.Route{said(webPool, "/", "", "", `{"max_in_flight":1,"queue":{"length":9,"deadline":"1h"}`+policy+`}`)}
		}
	}
	f.table(1, by(""), a.Backend)
	got := make(chan string, 2)
	ask := func() {
		resp, err := client(t).Get(f.url("/"))
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close() //nolint:errcheck // a test's
		got <- resp.Status
	}
	go ask()
	<-inside
	go ask()
	eventually(t, "one waits", func() bool { return f.ledger(1).Held == 1 })
	f.table(1, by(`,"compress":{"algorithms":["gzip"],"minimum":"1B"}`), a.Backend)
	close(goOn)
	for range 2 {
		if s := <-got; s != "200 OK" {
			t.Error(s)
		}
	}
	for range 3 { // its place is free again
		if resp, body := get(t, client(t), f.url("/")); resp.StatusCode != 200 {
			t.Errorf("%s %s", resp.Status, body)
		}
		<-inside
	}
	if got, want := f.settled(1), (semper.Ledger{Accepted: 5, Served: 5, Held: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestADirectoryThatIsRetired: a request that comes for it at the wrong moment is answered by what is in its place.
func TestADirectoryThatIsRetired(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(repeats))
	files := func(text string) route.Rule {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return route.Rule{Action: &route.Files{Dir: dir}, Policy: route.DefaultPolicy()}
	}
	for _, tc := range []struct {
		rules  []route.Rule
		status int
		want   string
		ledger semper.Ledger
	}{
		{[]route.Rule{files("new")}, 200, "new", semper.Ledger{}},
		{[]route.Rule{to("web", nil)}, 200, "GET /a  by HTTP/1.1, sum ", semper.Ledger{Accepted: 1, Served: 1}},
		{[]route.Rule{{Match: route.Match{Path: "/other"}, Action: &route.Respond{Status: 200}, Policy: route.DefaultPolicy()}}, 404, "404 Not Found", semper.Ledger{}},
	} {
		before := f.booked("web")
		f.goBy(pools("web", a), files("old"))
		w := httptest.NewRecorder()
		x := f.exchange(w, httptest.NewRequest(http.MethodGet, "/a", nil), "example.com")
		d := x.turnTo(f.snapshot(), f.now())
		f.goBy(pools("web", a), tc.rules...) // between choosing the rule and going by it
		x.run(x.prepare(d))
		x.asking.leave()
		x.tell()
		if got := w.Body.String(); w.Code != tc.status || !strings.HasPrefix(got, tc.want) {
			t.Errorf("%d %q, want %d %q", w.Code, got, tc.status, tc.want)
		}
		if got := f.booked("web"); got != before.Add(tc.ledger) {
			t.Errorf("got %+v, want %+v more than %+v", got, tc.ledger, before)
		}
	}
}
