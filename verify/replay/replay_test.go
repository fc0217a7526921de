package replay

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper/verify"
	"semper/verify/capture"
	"semper/verify/diff"
)

// recording is a source of exchanges.
type recording struct {
	all  []capture.Exchange
	last error // nil: io.EOF
}

func (r *recording) Next() (e capture.Exchange, err error) {
	if len(r.all) == 0 {
		if r.last != nil {
			return e, r.last
		}
		return e, io.EOF
	}
	e, r.all = r.all[0], r.all[1:]
	return e, nil
}

// get is an exchange as it was recorded.
func get(t *testing.T, path string, response string) capture.Exchange {
	t.Helper()
	u, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	e := capture.Exchange{Place: "x:1", Request: capture.Request{Method: "GET", URL: u, Authority: "shop.example", Header: http.Header{}}}
	if response != "" {
		r := diff.NewResponse(200, http.Header{"Content-Type": {"application/json"}}, []byte(response))
		e.Response = &r
	}
	return e
}

func many(t *testing.T, n int, path, response string) (all []capture.Exchange) {
	t.Helper()
	for range n {
		all = append(all, get(t, path, response))
	}
	return all
}

// app serves by f and is closed with the test.
func app(t *testing.T, f http.HandlerFunc) *url.URL {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body) //nolint:errcheck // the client tells
	}
}

func comparer(t *testing.T, rules ...diff.Rule) *diff.Comparer {
	t.Helper()
	c, err := diff.New(diff.Options{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func run(t *testing.T, o Options, all ...capture.Exchange) *Report {
	t.Helper()
	if o.Compare == nil {
		o.Compare = comparer(t)
	}
	r, err := Run(t.Context(), &recording{all: all}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func places(r *Report) (all []string) {
	for i, p := range r.Board.Places {
		all = append(all, fmt.Sprintf("%s %s %s %d %s", p.Endpoint, p.Path, p.Kind, p.Seen, r.Board.Status(i)))
	}
	return all
}

func TestAgainstWhatWasRecorded(t *testing.T) {
	t.Parallel()
	r := run(t, Options{Candidate: app(t, says(`{"n":2,"at":7}`)), Compare: comparer(t, diff.Rule{Path: "body.at", Ignore: true})},
		get(t, "/cart/17", `{"n":1,"at":6}`), get(t, "/cart/18?token=s3cret", `{"n":2,"at":6}`), get(t, "/cart/19", ""))
	if got := places(r); !slices.Equal(got, []string{"GET /cart/* body.n changed 1 unknown"}) {
		t.Errorf("%q", got)
	}
	if r.Exchanges != 3 || r.Sent != 3 || r.Unrecorded != 1 || r.Board.Pairs != 2 || r.Latency != nil {
		t.Errorf("%+v", r)
	}
	if v := r.Verdict(time.Now(), 1); v.Outcome != verify.Undecided || v.Cause != verify.NoData || !strings.Contains(v.Why, "--baseline") {
		t.Errorf("%+v", v)
	}
}

// What differs between two answers of the baseline is noise; what the candidate alone says is told.
func TestAgainstTheBaseline(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	release := func(price int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			says(fmt.Sprintf(`{"price":%d,"id":%d}`, price, n.Add(1)))(w, r)
		}
	}
	baseline := app(t, release(1))
	r := run(t, Options{Candidate: app(t, release(2)), Baseline: baseline}, many(t, 60, "/cart", "")...)
	if got := places(r); !slices.Contains(got, "GET /cart body.price changed 60 different") || !slices.Contains(got, "GET /cart body.id changed 60 noise") || len(got) != 2 {
		t.Errorf("%q", got)
	}
	if v := r.Verdict(time.Now(), 1); v.Outcome != verify.Worse || !strings.Contains(v.Why, "body.price") {
		t.Errorf("%+v", v)
	}
	if r.Latency == nil || r.Latency.Candidate.P50 <= 0 || r.Latency.Slower+r.Latency.Faster > 60 {
		t.Errorf("%+v", r.Latency)
	}
	r = run(t, Options{Candidate: app(t, release(1)), Baseline: baseline, Copy: app(t, release(1))}, many(t, 60, "/cart", "")...)
	if v := r.Verdict(time.Now(), 50); v.Outcome != verify.BetterOrEqual || r.Board.Copies != 60 {
		t.Errorf("%+v", v)
	}
}

// What is sent is what was recorded, but for what belongs to a connection; and it goes where it was told to go.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	to := app(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body) //nolint:errcheck // the test compares
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		w.WriteHeader(http.StatusFound)
	})
	to.Path = "/base/"
	e := get(t, "/a%2Fb/c?x=%20&y", "")
	e.Request.Method, e.Request.Body = "POST", []byte("content")
	e.Request.Header = http.Header{
		"Cookie": {"a=1"}, "Connection": {"close, X-Hop"}, "X-Hop": {"1"}, "Accept-Encoding": {"br, gzip"}, "Authorization": {"Basic x"}, "Content-Type": {"text/plain"}, "Te": {"trailers"},
	}
	r := run(t, Options{Candidate: to, Unsafe: true, Header: http.Header{"Authorization": {"Bearer of a test"}, "Content-Type": {""}}}, e)
	if r.Sent != 1 || r.Unanswered != (Unanswered{}) {
		t.Fatalf("%+v", r)
	}
	got.Header.Del("Content-Length")
	want := http.Header{"Cookie": {"a=1"}, "Accept-Encoding": {"gzip"}, "Authorization": {"Bearer of a test"}, marker: {"1"}}
	if got.Method != "POST" || got.RequestURI != "/base/a%2Fb/c?x=%20&y" || got.Host != "shop.example" || string(body) != "content" || fmt.Sprint(got.Header) != fmt.Sprint(want) {
		t.Errorf("%s %s of %s with %v: %s", got.Method, got.RequestURI, got.Host, got.Header, body)
	}
}

func TestUnsafeMethods(t *testing.T) {
	t.Parallel()
	var asked sync.Map
	count := func(name string) http.HandlerFunc {
		n := new(atomic.Int64)
		asked.Store(name, n)
		return func(http.ResponseWriter, *http.Request) { n.Add(1) }
	}
	o := Options{Candidate: app(t, count("candidate")), Baseline: app(t, count("baseline"))}
	post := get(t, "/", "")
	post.Request.Method = "POST"
	r := run(t, o, get(t, "/", ""), post, capture.Exchange{Left: capture.NotHTTP})
	o.Unsafe = true
	again := run(t, o, post)
	n := func(name string) int64 { v, _ := asked.Load(name); return v.(*atomic.Int64).Load() }
	if r.Left[Unsafe] != 1 || r.Left[capture.NotHTTP] != 1 || r.Exchanges != 3 || again.Sent != 1 || again.Board.Copies != 0 {
		t.Errorf("%+v, %+v", r, again)
	}
	if n("candidate") != 2 || n("baseline") != 3 { // twice for GET, once for POST
		t.Errorf("%d and %d requests", n("candidate"), n("baseline"))
	}
}

// Contents are compared decoded, and large ones by their hash.
func TestContents(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 100_000)
	release := func(last string, pack bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body := `{"n":1}`
			if r.URL.Path == "/large" {
				body = large + last
			}
			w.Header().Set("Content-Type", "application/json")
			if !pack {
				io.WriteString(w, body) //nolint:errcheck // the client tells
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, body) //nolint:errcheck // the same
			z.Close()               //nolint:errcheck // the same
		}
	}
	for last, want := range map[string][]string{"a": nil, "b": {"GET /large body changed 1 unknown"}} {
		r := run(t, Options{Candidate: app(t, release("a", true)), Baseline: app(t, release(last, false)), MaxBody: 1000}, get(t, "/large", ""), get(t, "/small", ""))
		if got := places(r); !slices.Equal(got, want) || r.Large != 1 || r.Board.Pairs != 2 {
			t.Errorf("%q, %+v", got, r)
		}
	}
}

// A candidate that does not answer differs; of a baseline that does not, nothing is said.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	cut := app(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	whole := app(t, says("{}"))
	r := run(t, Options{Candidate: cut, Baseline: whole}, get(t, "/", ""))
	if r.Unanswered.Candidate != 1 || r.Board.Pairs != 1 || !strings.Contains(r.Board.Places[0].Examples[0].String(), "200 → none: the connection breaks off") {
		t.Errorf("%+v", r)
	}
	r = run(t, Options{Candidate: whole, Baseline: cut}, get(t, "/", ""))
	if r.Unanswered.Baseline != 1 || r.Unanswered.Copy != 1 || r.Board.Pairs != 0 {
		t.Errorf("%+v", r)
	}
	for err, want := range map[error]string{context.DeadlineExceeded: "it takes too long", errors.New("x"): "the connection breaks off, or it is no HTTP"} {
		if got := missing(err); got != want {
			t.Errorf("%v: %s", err, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	here := app(t, says("{}"))
	source := func() *recording {
		e := get(t, "/", "")
		e.Request.Authority = here.Host
		return &recording{all: []capture.Exchange{e}}
	}
	gone, err := url.Parse("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("x:7: broken")
	stop := errors.New("stop")
	for want, o := range map[string]Options{
		"there is no candidate":                        {},
		"a copy of the baseline and no baseline":       {Candidate: here, Copy: here},
		"ftp://u:xxxxx@a is no address":                {Candidate: &url.URL{Scheme: "ftp", Host: "a", User: url.UserPassword("u", "secret")}},
		"nothing can be asked at http://127.0.0.1:1: ": {Candidate: here, Baseline: gone},
		"x:1: this was recorded at " + here.Host:       {Candidate: here},
		"one of both":                                  {Candidate: here, Pace: Pace{Rate: 1, Speed: 1}},
		"a rate of -1":                                 {Candidate: here, Pace: Pace{Rate: -1}},
		"a speed of -1":                                {Candidate: here, Pace: Pace{Speed: -1}},
		"broken":                                       {Candidate: here, RecordedHost: true},
		"stop":                                         {Candidate: here, Baseline: here, RecordedHost: true, Tell: func(Pair) error { return stop }},
	} {
		o.Compare = comparer(t)
		src := source()
		src.last = broken
		if _, err := Run(t.Context(), src, o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, and not %q", err, want)
		}
	}
	u, _ := url.Parse("http://shop.example:80") //nolint:errcheck // it is one
	for authority, want := range map[string]bool{"shop.example": true, "SHOP.example:80": true, "shop.example:81": false, "other": false, "": false, "[::1": false} {
		if same(u, authority) != want {
			t.Errorf("%q", authority)
		}
	}
}

// answers is a transport that answers after some time, without a network.
type answers func(*http.Request) time.Duration

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(f(r)):
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil))}, nil
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		target := &url.URL{Scheme: "http", Host: "candidate"}
		began := time.Now()
		at := func(seconds ...int) (all []capture.Exchange) {
			for _, s := range seconds {
				e := get(t, "/", "{}")
				e.At = began.Add(time.Duration(s-86400) * time.Second)
				all = append(all, e)
			}
			return all
		}
		for _, tc := range []struct {
			o    Options
			all  []capture.Exchange
			took time.Duration
			late int64
		}{
			{Options{Pace: Pace{Speed: 2}}, at(10, 20, 15, 30), 10*time.Second + time.Second, 0},
			{Options{Pace: Pace{Rate: 2}}, at(0, 0, 0, 0, 0), 2*time.Second + time.Second, 0},
			{Options{Pace: Pace{Rate: 2}, Concurrency: 1}, at(0, 0, 0), 3 * time.Second, 2},
			{Options{}, at(0, 50, 100), time.Second, 0},
			{Options{Limit: 1, Concurrency: 1}, at(0, 0, 0), time.Second, 0},
			{Options{Timeout: 500 * time.Millisecond}, at(0), 500 * time.Millisecond, 0},
		} {
			tc.o.Candidate, tc.o.Compare = target, comparer(t)
			tc.o.Transport = answers(func(*http.Request) time.Duration { return time.Second })
			seen := 0
			tc.o.Progress = func(*Report) { seen++ }
			start := time.Now()
			r := run(t, tc.o, tc.all...)
			if took := time.Since(start); took != tc.took || r.Late != tc.late || took > time.Second && seen == 0 {
				t.Errorf("%+v: %v and %d late, progress %d times", tc.o.Pace, took, r.Late, seen)
			}
		}
	})
}

// The order of the recording is the order of what is told, however long each takes; and an end in the middle leaves nothing behind.
func TestOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all []capture.Exchange
		for i := range 50 {
			e := get(t, fmt.Sprintf("/%d", i), "{}")
			e.Place = fmt.Sprint(i)
			all = append(all, e)
		}
		var told []string
		ctx, cancel := context.WithCancel(t.Context())
		o := Options{
			Candidate: &url.URL{Scheme: "http", Host: "candidate"}, Compare: comparer(t),
			Transport: answers(func(r *http.Request) time.Duration { return time.Duration(len(r.URL.Path)*7%5) * time.Second }),
			Tell: func(p Pair) error {
				if told = append(told, p.Place); len(told) == 30 {
					cancel()
				}
				return nil
			},
		}
		r, err := Run(ctx, &recording{all: all}, o)
		if !errors.Is(err, context.Canceled) || r.Board.Pairs != 30 {
			t.Errorf("%v, %d pairs", err, r.Board.Pairs)
		}
		for i, place := range told {
			if place != fmt.Sprint(i) {
				t.Errorf("told in this order: %v", told)
				break
			}
		}
	})
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/": "GET /", "/api/v2/cart": "GET /api/v2/cart", "/users/17/mail": "GET /users/*/mail", "/of/me@shop.example": "GET /of/*",
		"/t/eyJhbGciOiJIUzI1NiJ9": "GET /t/*", "/" + strings.Repeat("a", 65): "GET /*", "//x": "GET //x",
	} {
		if got := endpoint("GET", path); got != want {
			t.Errorf("%s: %s, and not %s", path, got, want)
		}
	}
}
