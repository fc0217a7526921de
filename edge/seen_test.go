package edge

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"semper"
	"semper/edge/accesslog"
	"semper/edge/metrics"
	"semper/edge/route"
	"semper/edge/trace"
)

// logged has the edge write an access log, and returns its path.
func logged(t *testing.T, into *string) func(*Options) {
	t.Helper()
	*into = filepath.Join(t.TempDir(), "access.log")
	return func(o *Options) { o.Witness.Log = accesslog.Options{Path: *into} }
}

// lines are those of the access log so far, in the order in which their requests began: each loop's are written at once.
func (f *fixture) lines(path string) []map[string]any {
	f.t.Helper()
	if err := f.witness.Reopen(); err != nil { // which writes what is there
		f.t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	var out []map[string]any
	for l := range strings.Lines(string(b)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(l), &m); err != nil {
			f.t.Fatalf("%v in %s", err, l)
		}
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b map[string]any) int { return cmp.Compare(fmt.Sprint(a["ts"]), fmt.Sprint(b["ts"])) })
	return out
}

// scrape is what the edge's own socket tells Prometheus, read by its parser.
func (f *fixture) scrape() map[string]*dto.MetricFamily {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.Control().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	p := expfmt.NewTextParser(model.UTF8Validation)
	all, err := p.TextToMetricFamilies(w.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// value is the sum of a family's values, or of its histograms' counts, whose labels are those given.
func value(f *dto.MetricFamily, labels ...string) (sum float64) {
	for _, m := range f.GetMetric() {
		have := map[string]string{}
		for _, l := range m.GetLabel() {
			have[l.GetName()] = l.GetValue()
		}
		fits := true
		for i := 0; i < len(labels); i += 2 {
			fits = fits && have[labels[i]] == labels[i+1]
		}
		if fits {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// ways are the two by which requests come.
func ways(t *testing.T, do func(t *testing.T, way func(*Options))) {
	for _, d := range []Driver{Loops, Goroutines} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			do(t, func(o *Options) { o.Driver = d })
		})
	}
}

// lineOf is the line of the request for target: what two connections said may stand in either order.
func lineOf(t *testing.T, all []map[string]any, target string) map[string]any {
	t.Helper()
	i := slices.IndexFunc(all, func(l map[string]any) bool { return l["target"] == target })
	if i < 0 {
		t.Fatalf("no line of %s: %v", target, all)
	}
	return all[i]
}

func TestEveryRequestIsCountedAndLogged(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, way func(*Options)) {
		var path string
		f := newFixture(t, way, logged(t, &path))
		a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // a test's
			if r.URL.Path == "/bad" {
				w.WriteHeader(http.StatusInternalServerError)
			}
			io.WriteString(w, "hello") //nolint:errcheck // the client checks
		}))
		f.table(1, func(tab *semper.Table) {
			tab.Routes = []semper.Route{{Host: "shop.example", Path: "/", Pool: webPool}, {Host: "shop.example", Path: "/bad", Pool: webPool}}
		}, a.Backend)
		c := client(t)
		for _, r := range []struct{ method, path, body string }{{"GET", "/?q=1", ""}, {"POST", "/form", "0123456789"}, {"GET", "/bad", ""}} {
			ask(t, c, f, r.method, "shop.example", r.path, r.body)
		}
		ask(t, c, f, "GET", "nowhere.example", "/x", "")
		f.settled(1)
		var all []map[string]any
		eventually(t, "four lines", func() bool { all = f.lines(path); return len(all) == 4 })
		first, lost := lineOf(t, all, "/?q=1"), lineOf(t, all, "/x")
		for k, want := range map[string]any{
			"method": "GET", "target": "/?q=1", "host": "shop.example", "status": 200., "app": "bar", "release": "r1", "pool": string(webPool),
			"route": "shop.example/", "instance": "bar/web.r1.1", "client": "127.0.0.1", "user_agent": `an "agent"`,
		} {
			if first[k] != want {
				t.Errorf("%s is %v, want %v, in %v", k, first[k], want, first)
			}
		}
		if lost["status"] != 404. || lost["cause"] != "no-route" || lost["app"] != nil {
			t.Errorf("a request that has no route: %v", lost)
		}
		m := f.scrape()
		server := m["http_server_request_duration_seconds"]
		for _, want := range []struct {
			labels []string
			n      float64
		}{
			{[]string{"http_route", "shop.example/", "http_response_status_code", "200"}, 2},
			{[]string{"http_route", "shop.example/bad", "http_response_status_code", "500", "semper_release", "r1"}, 1},
			{[]string{"http_response_status_code", "404"}, 1},
			{nil, 4},
		} {
			if got := value(server, want.labels...); got != want.n {
				t.Errorf("%v were counted %v times, want %v", want.labels, got, want.n)
			}
		}
		if got := value(m["http_client_request_duration_seconds"]); got != 3 {
			t.Errorf("%v tries", got)
		}
		if got := value(m["http_server_active_requests"]); got != 0 {
			t.Errorf("%v in flight", got)
		}
		if got := m["http_server_request_body_size_bytes"].GetMetric(); sumOf(got) != 10 {
			t.Errorf("%v bytes received", sumOf(got))
		}
		if got := m["http_server_response_body_size_bytes"].GetMetric(); sumOf(got) < 15 {
			t.Errorf("%v bytes sent", sumOf(got))
		}
		if got := value(m["semper_edge_ledger_requests"], "column", "accepted"); got != 3 {
			t.Errorf("%v in the ledger", got)
		}
	})
}

func sumOf(ms []*dto.Metric) (n float64) {
	for _, m := range ms {
		n += m.GetHistogram().GetSampleSum()
	}
	return n
}

// ask asks for host and wants any answer.
func ask(t *testing.T, c *http.Client, f *fixture, method, host, path, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, f.url(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("User-Agent", `an "agent"`)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	drainBody(t, resp)
	return resp
}

// TestWhatIsNoRequestIsSeenToo: who throws malformed heads at the edge has to be found in its log.
func TestWhatIsNoRequestIsSeenToo(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, way func(*Options)) {
		var path string
		f := newFixture(t, way, logged(t, &path))
		_, br := rawRequest(t, f, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Fatalf("%v %v", resp, err)
		}
		var all []map[string]any
		eventually(t, "its line", func() bool { all = f.lines(path); return len(all) == 1 })
		if l := all[0]; l["status"] != 400. || l["cause"] != resp.Header.Get("X-Semper-Error") || l["client"] != "127.0.0.1" || l["method"] != nil {
			t.Errorf("%v", l)
		}
		if got := value(f.scrape()["http_server_request_duration_seconds"], "http_response_status_code", "400"); got != 1 {
			t.Errorf("counted %v times", got)
		}
	})
}

func TestTraceContextReachesTheInstance(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	ways(t, func(t *testing.T, way func(*Options)) {
		var path string
		f := newFixture(t, way, logged(t, &path))
		heads := make(chan http.Header, 1)
		a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heads <- r.Header.Clone() }))
		f.table(1, nil, a.Backend)
		c := client(t)
		for i, tc := range []struct {
			sent           http.Header
			parent, states string // empty: a new one, none
		}{
			{sent: http.Header{}},
			{sent: http.Header{"Traceparent": {parent}, "Tracestate": {"a=1", "b=2"}}, parent: parent, states: "[a=1 b=2]"},
			{sent: http.Header{"Traceparent": {parent}, "Tracestate": {"A=="}}, parent: parent},
			{sent: http.Header{"Traceparent": {strings.ToUpper(parent)}, "Tracestate": {"a=1"}}},
			{sent: http.Header{"Traceparent": {parent, parent}}},
			{sent: http.Header{"Tracestate": {"a=1"}}},
		} {
			r, err := http.NewRequest(http.MethodGet, f.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = tc.sent
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			drainBody(t, resp)
			got := <-heads
			parents := got["Traceparent"]
			context, ok := trace.Parse([]byte(got.Get("Traceparent")))
			if len(parents) != 1 || !ok || (tc.parent != "") != (parents[0] == tc.parent) {
				t.Fatalf("sent %v, came %v", tc.sent, parents)
			}
			if states := got["Tracestate"]; tc.states == "" && states != nil || tc.states != "" && fmt.Sprint(states) != tc.states {
				t.Errorf("sent %v, came %v", tc.sent, states)
			}
			id := resp.Header.Get("X-Request-Id")
			if started := tc.parent == ""; started != (id == context.Trace.String()) || id != got.Get("X-Request-Id") {
				t.Errorf("the request's id is %q, the trace's %v", id, context.Trace)
			}
			var all []map[string]any
			eventually(t, "its line", func() bool { all = f.lines(path); return len(all) == i+1 })
			if all[i]["trace_id"] != context.Trace.String() || all[i]["request_id"] != id {
				t.Errorf("%v; want trace %v and id %s", all[i], context.Trace, id)
			}
		}
	})
}

func TestServerTimingIsForThoseWhoMayAsk(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, way func(*Options)) {
		for _, tc := range []struct {
			name          string
			trusted, asks bool
			want          bool
		}{{"trusted", true, true, true}, {"trusted and silent", true, false, false}, {"a stranger", false, true, false}} {
			options := []func(*Options){way}
			if tc.trusted {
				options = append(options, trust("127.0.0.0/8"))
			}
			f := newFixture(t, options...)
			a := start(t, "tcp", "web.r1.1", says(1))
			f.table(1, nil, a.Backend)
			r, err := http.NewRequest(http.MethodGet, f.url("/"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.asks {
				r.Header.Set("X-Semper-Timing", "1")
			}
			resp, err := client(t).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			drainBody(t, resp)
			got := resp.Header.Get("Server-Timing")
			if (got != "") != tc.want || tc.want && (!strings.Contains(got, "edge;dur=") || !strings.Contains(got, "traceparent;desc=")) {
				t.Errorf("%s: Server-Timing is %q", tc.name, got)
			}
		}
	})
}

func TestRetriesAndFailuresAreCountedWhereTheyHappened(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, way func(*Options)) {
		f := newFixture(t, way)
		dead := start(t, "tcp", "web.r1.1", says(1))
		dead.kill()
		alive := start(t, "tcp", "web.r1.2", says(1))
		f.table(1, nil, dead.Backend, alive.Backend)
		c := client(t)
		eventually(t, "the dead one is found", func() bool {
			get(t, c, f.url("/"))
			return len(f.State().Ejected) == 1
		})
		f.settled(1)
		m := f.scrape()
		if got := value(m["semper_edge_retries_total"], "reason", "connect"); got < 1 {
			t.Errorf("%v retries", got)
		}
		if got := value(m["http_client_request_duration_seconds"], "error_type", "connect"); got < 1 {
			t.Errorf("%v failed tries", got)
		}
		if got := value(m["semper_edge_ejections_total"]); got != 1 {
			t.Errorf("%v ejections", got)
		}
	})
}

func TestTrafficIsToldOnTheEdgesOwnSocket(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, nil, a.Backend)
	f.witness.Look(time.Now(), f.snapshot().places) // before there was anything
	c := client(t)
	for range 20 {
		get(t, c, f.url("/"))
	}
	f.settled(1)
	var report metrics.Report
	eventually(t, "the next look", func() bool {
		w := httptest.NewRecorder()
		f.Control().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/traffic", nil))
		report = metrics.Report{}
		if err := json.Unmarshal(w.Body.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		return len(report.Rows) == 1 && report.Rows[0].Status.Success == 20
	})
	row := report.Rows[0]
	if row.App != "bar" || row.Release != "r1" || row.Route != "/" || row.Status.Success != 20 || row.Latency.P99 <= 0 || row.Latency.Sketch.Count() != 20 {
		t.Errorf("%+v", row)
	}
	w := httptest.NewRecorder()
	f.Control().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/readings", nil))
	var s metrics.Snapshot
	if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&s); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Series {
		if r.Key.Route == "/" && r.Latency.Count() != 20 {
			t.Errorf("%d durations in all", r.Latency.Count())
		}
	}
}

// TestTheLogCountsWhatIsOnTheWire: content as the client got it, in its coding, whoever has answered.
func TestTheLogCountsWhatIsOnTheWire(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("<p>all work and no play</p>", 100)
	ways(t, func(t *testing.T, way func(*Options)) {
		var path string
		f := newFixture(t, way, logged(t, &path))
		a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, page) //nolint:errcheck // the client checks
		}))
		zip := func(r *route.Rule) {
			r.Policy.Compress = route.Compress{Algorithms: []string{"zstd", "gzip"}, Minimum: 1 << 10}
		}
		respond := &route.Respond{Status: 200, Fields: route.Fields{{Name: "Content-Type", Value: "text/html"}}, Body: []byte(page)}
		f.goBy(pools("web", a), to("web", zip), to("web", func(r *route.Rule) { r.Match.Path = "/plain" }),
			route.Rule{Match: route.Match{Path: "/own"}, Policy: to("web", zip).Policy, Action: respond},
			route.Rule{Match: route.Match{Path: "/own/plain"}, Policy: to("web", nil).Policy, Action: respond})
		got := map[string]float64{}
		for _, target := range []string{"/", "/plain", "/own", "/own/plain"} {
			for _, coding := range []string{"zstd", "gzip", "identity"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url(target+"?"+coding), nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Accept-Encoding", coding)
				resp, err := client(t).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body := drainBody(t, resp)
				if plain := strings.HasSuffix(target, "plain") || coding == "identity"; plain != (len(body) == len(page)) {
					t.Errorf("%s in %s has %d bytes", target, coding, len(body))
				}
				got[target+"?"+coding] = float64(len(body))
			}
		}
		var lines []map[string]any
		eventually(t, "all are logged", func() bool { lines = f.lines(path); return len(lines) == len(got) })
		for _, l := range lines {
			if want := got[fmt.Sprint(l["target"])]; l["response_bytes"] != want {
				t.Errorf("%v: %v bytes are logged, %v came", l["target"], l["response_bytes"], want)
			}
		}
	})
}
