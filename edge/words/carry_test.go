package words

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"semper"
	"semper/edge/route"
	"semper/internal/strict"
)

// file is a document with a route and its defaults.
type file struct {
	Defaults Policy `yaml:"defaults"`
	Route    Route  `yaml:"route"`
	Pool     Pool   `yaml:"pool"`
}

// written reads text as a file of words, and gives what a table carries of it.
func written(t *testing.T, text string) (*file, Source, semper.RouteWords) {
	t.Helper()
	f := &file{Defaults: Base(), Pool: BasePool()}
	dir := t.TempDir()
	for name, content := range map[string]string{"sorry.html": "<p>\u00fcb\ufeffer\n</p>", "logo.png": "\x89PNG\xff", "long.txt": strings.Repeat("x", maxText+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := Source{File: func(_ string, path *string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, *path))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}}
	s.Doc = strict.Read("f", []byte(text), f, strict.Options{New: Fresh})
	f.Route.Policy = f.Defaults // and what the route says of its own over it
	s.Doc = strict.Read("f", []byte(text), f, strict.Options{New: Fresh})
	return f, s, s.Carry("route", "defaults", &f.Route)
}

const everything = `
defaults: {timeouts: {response: 20s}, error_pages: {5xx: sorry.html}, compress: on}
route:
  exact: /a b
  scheme: https
  methods: [GET, PUT]
  header: {X-A: yes, "x.b[": {prefix: "v: 2"}}
  cookie: {c: {present: false}}
  query: {q: {matches: "^[a-z]+$"}}
  rewrite: {pattern: "^/(.*)$", path: "/x/$1", host: inner}
  headers: {request: {set: {X-One: "1"}, add: {Link: [a, b]}, remove: Server}, response: {set: {X-Two: "\"2\""}}}
  timeouts: {body: 1m, stream: off, write: 100ms}
  limits: {body: 1.5KiB}
  retry: {tries: 2, on: [connect, 503], share: 0.25}
  balance: {algorithm: maglev, key: header:x-user}
  max_in_flight: 7
  queue: {length: 9, deadline: 90s}
  rate_limit: [{requests: 5, by: client}, {requests: 100, period: 1h, burst: 3}]
  sticky: where
  class: background
  access_log: off
  max_stream_age: 1h
`

func TestATableReadsWhatTheFileSays(t *testing.T) {
	t.Parallel()
	f, s, w := written(t, everything)
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	want := route.Rule{
		Match:  route.Match{Path: "/a b", Exact: true, Scheme: "https", Methods: []string{"GET", "PUT"}, Conditions: s.Conditions("route", &f.Route.Match)},
		Policy: f.Route.Policy.Policy,
	}
	want.Policy.ErrorPages = []route.ErrorPage{{From: 500, To: 599, Type: "text/html; charset=utf-8", Body: []byte("<p>\u00fcb\ufeffer\n</p>")}}
	var got route.Rule
	if err := Read(w, &got, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(route.Rule{}), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Errorf("%s\n%s\n%s (-file +table):\n%s", w.Match, w.Answer, w.Policy, diff)
	}
	if got.Policy.Patient {
		t.Error("timeouts.body was given, and holds for clients only")
	}
}

func TestASplitIsBesideItsPool(t *testing.T) {
	t.Parallel()
	f, s, w := written(t, "route: {split: {next: 10, web: 90, none: 0}, split_by: cookie:uid}")
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if most := f.Route.Split.Most(); most != "web" {
		t.Errorf("the most goes to %q", most)
	}
	got := route.Rule{Action: &route.Forward{Pools: []route.Share{{Pool: "shop/production/web", Weight: 1}}}}
	if err := Read(w, &got, false); err != nil {
		t.Fatal(err)
	}
	want := &route.Forward{By: f.Route.SplitBy, Pools: []route.Share{{Pool: "shop/production/next", Weight: 10}, {Pool: "shop/production/web", Weight: 90}, {Pool: "shop/production/none"}}}
	if diff := cmp.Diff(want, got.Action, cmp.AllowUnexported(route.Forward{}, route.Key{})); diff != "" || want.By.IsZero() {
		t.Errorf("%s\n%s", w.Policy, diff)
	}
	got = route.Rule{Action: &route.Redirect{To: "/"}}
	if err := Read(w, &got, false); err != nil {
		t.Fatal(err)
	}
	if _, ok := got.Action.(*route.Redirect); !ok {
		t.Errorf("what leads nowhere is spread: %+v", got.Action)
	}
}

func TestAnswersAreCarried(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]route.Action{
		"route: {files: public/}": &route.Files{Dir: "public", Index: []string{"index.html"}},
		"route: {files: {dir: dist, fallback: app.html, immutable: ^/a/, max_age: 1h}}": &route.Files{
			Dir: "dist", Index: []string{"index.html"}, Fallback: "app.html", Immutable: "^/a/", MaxAge: time.Hour,
		},
		"route: {redirect: 'https://b{path}'}": &route.Redirect{To: "https://b{path}", Status: 308},
		"route: {respond: 204}":                &route.Respond{Status: 204, Body: []byte{}},
		"route: {respond: {body: ok, headers: {X-A: [a, b]}}}": &route.Respond{
			Status: 200, Fields: route.Fields{{Name: "X-A", Value: "a"}, {Name: "X-A", Value: "b"}, {Name: "Content-Type", Value: "text/plain; charset=utf-8"}}, Body: []byte("ok"),
		},
		"route: {respond: {status: 503, file: sorry.html}}": &route.Respond{
			Status: 503, Fields: route.Fields{{Name: "Content-Type", Value: "text/html; charset=utf-8"}}, Body: []byte("<p>\u00fcb\ufeffer\n</p>"),
		},
	} {
		_, s, w := written(t, text)
		var got route.Rule
		if err := errors.Join(s.Err(), Read(w, &got, false)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got.Action); diff != "" || w.Match != nil || w.Policy != nil {
			t.Errorf("%s: %s %s %s\n%s", text, w.Match, w.Answer, w.Policy, diff)
		}
	}
}

func TestWhatSaysNothingCarriesNothing(t *testing.T) {
	t.Parallel()
	f, s, w := written(t, "{x-note: none}")
	if w.Match != nil || w.Answer != nil || w.Policy != nil || s.CarryPool("pool", &f.Pool) != nil {
		t.Errorf("%s %s %s", w.Match, w.Answer, w.Policy)
	}
	var got route.Rule
	if err := Read(w, &got, false); err != nil {
		t.Fatal(err)
	}
	want := Base().Policy
	want.Patient = true
	if diff := cmp.Diff(want, got.Policy); diff != "" {
		t.Error(diff)
	}
}

func TestPoolsAreCarried(t *testing.T) {
	t.Parallel()
	f, s, _ := written(t, "pool: {outlier: {consecutive: 3, status_5xx: on}, slow_start: 10s, keepalive: {idle: off}}")
	got, err := ReadPool(s.CarryPool("pool", &f.Pool), false)
	if err != nil || got != f.Pool || got.Outlier.Consecutive != 3 || got.Keepalive.Idle != 0 {
		t.Errorf("%+v, want %+v: %v", got, f.Pool, err)
	}
}

func TestBodiesThatNoTableCarries(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"route: {respond: {file: logo.png}}":     "not text in UTF-8",
		"route: {error_pages: {404: long.txt}}":  "more than the 32768",
		"route: {error_pages: {99: sorry.html}}": "no status of an error",
	} {
		_, s, _ := written(t, text)
		if err := s.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// A table of a newer semper is served by as far as it is known; one that is checked before it is made is not.
func TestWordsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	w := semper.RouteWords{Policy: []byte(`{"prefetch":true,"class":"urgent","max_in_flight":3,"timeouts":{"think":"1s","write":"2s"}}`)}
	var r route.Rule
	if err := Read(w, &r, true); err == nil || !strings.Contains(err.Error(), `"urgent"`) || strings.Contains(err.Error(), "unknown key") {
		t.Errorf("of what it knows it says %v", err)
	}
	if r.Policy.MaxInFlight != 3 || r.Policy.Class != route.Normal || r.Policy.Timeouts.Write.Seconds() != 2 || !r.Policy.Patient {
		t.Errorf("%+v", r.Policy)
	}
	if err := Read(w, &r, false); err == nil || !strings.Contains(err.Error(), `unknown key "prefetch"`) {
		t.Errorf("strictly: %v", err)
	}
}

// TestTestersAreCarried: what a file says of testers, a split reads.
func TestTestersAreCarried(t *testing.T) {
	t.Parallel()
	var f struct {
		Testers []Tester `yaml:"testers" doc:"."`
	}
	s := Source{Doc: strict.Read("f", []byte("testers: [{header: {X-Tester: yes}, query: {v: {prefix: b}}}, {cookie: {beta: {present: false}}}]"), &f, strict.Options{New: Fresh})}
	want := [][]route.Condition{
		{{In: route.InField, Name: "X-Tester", Test: route.Equal, Value: "yes"}, {In: route.InQuery, Name: "v", Test: route.Prefix, Value: "b"}},
		{{In: route.InCookie, Name: "beta", Test: route.Absent}},
	}
	var here [][]route.Condition
	for i := range f.Testers {
		here = append(here, s.Tester(fmt.Sprintf("testers[%d]", i), &f.Testers[i]))
	}
	there, err := ReadTesters(s.CarryTesters("testers", f.Testers))
	if err != nil || s.Err() != nil {
		t.Fatal(err, s.Err())
	}
	if d := cmp.Diff(want, here); d != "" {
		t.Error("as the file has them", d)
	}
	if d := cmp.Diff(want, there); d != "" {
		t.Error("as a split has them", d)
	}
	if none, err := ReadTesters(nil); none != nil || err != nil {
		t.Error(none, err)
	}
}
