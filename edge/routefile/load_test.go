package routefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"semper/edge/route"
	"semper/internal/strict"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "routes.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("pools: {app: unix:/run/app.sock}\nroutes: [{to: app}, {path: /x, files: .}]\n")
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	r := f.Matcher.Match(&route.Query{Path: []byte("/x/y")})
	if f.Path != path || r.Action.(*route.Files).Dir != dir {
		t.Errorf("%+v, files in %v", f, r.Action)
	}
	write("routes: [{}]\n")
	var problems Problems
	if f, err := Load(path); f != nil || !errors.As(err, &problems) || problems[0].File != path || problems[0].Line != 1 {
		t.Errorf("%v", err)
	}
}

func TestLoadOfWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big, pipe := filepath.Join(dir, "big"), filepath.Join(dir, "pipe")
	if err := os.WriteFile(big, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{filepath.Join(dir, "none"): "does not exist", dir: "is not a regular file", pipe: "is not a regular file", big: "has 1048577 bytes"} {
		var problems Problems
		if _, err := Load(path); !errors.As(err, &problems) || !strings.Contains(err.Error(), path+": "+want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The defaults in the tags are what people read; DefaultPolicy is what happens.
func TestDocumentedDefaultsAreThePolicys(t *testing.T) {
	t.Parallel()
	want := route.DefaultPolicy()
	got := route.Policy{Retry: route.Retry{On: want.Retry.On}, Compress: route.Compress{Types: want.Compress.Types}} // said in words
	strict.Defaults(&got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-policy +tags)\n%s", diff)
	}
}

func TestDefaultsReachEveryRoute(t *testing.T) {
	t.Parallel()
	f, err := parse("f", site(t), []byte(`
routes:
  - { host: a, to: app }
  - { host: b, to: app, timeouts: { response: 5s }, headers: { request: { set: { X-B: b } } }, retry: { on: 503 } }
defaults: # behind the routes on purpose
  timeouts: { connect: 7s, response: 9s }
  headers: { request: { set: { X-A: a } } }
  retry: { tries: 5 }
pools: { app: 127.0.0.1:1 }
`))
	if err != nil {
		t.Fatal(err)
	}
	a, b := f.Matcher.Rules()[0].Policy, f.Matcher.Rules()[1].Policy
	if a.Timeouts.Connect != 7*time.Second || a.Timeouts.Response != 9*time.Second || a.Timeouts.Body != 30*time.Second || a.Retry.Tries != 5 {
		t.Errorf("a: %+v", a)
	}
	if b.Timeouts.Connect != 7*time.Second || b.Timeouts.Response != 5*time.Second || b.Retry.Tries != 5 || len(b.Retry.On) != 1 {
		t.Errorf("b: %+v", b)
	}
	if len(a.Headers.Request.Set) != 1 || a.Headers.Request.Set[0].Name != "X-A" || len(b.Headers.Request.Set) != 1 || b.Headers.Request.Set[0].Name != "X-B" {
		t.Errorf("a table is not replaced as a whole: %v %v", a.Headers.Request.Set, b.Headers.Request.Set)
	}
}

func TestOffAndOn(t *testing.T) {
	t.Parallel()
	f, err := parse("f", site(t), []byte(`
defaults: { compress: on, queue: 5, hedge: { quantile: 0.9, after: 20ms } }
routes:
  - { respond: 200, compress: off, retry: off, queue: off, hedge: off, timeouts: { response: off }, limits: { body: off }, access_log: off }
  - { host: a, respond: 200 }
`))
	if err != nil {
		t.Fatal(err)
	}
	off, on := f.Matcher.Rules()[0].Policy, f.Matcher.Rules()[1].Policy
	if off.Compress.Algorithms != nil || off.Retry.Tries != 0 || off.Queue.Length != 0 || off.Hedge.Quantile != 0 || off.Hedge.After != 0 || off.Timeouts.Response != 0 || off.Limits.Body != 0 || off.AccessLog {
		t.Errorf("off: %+v", off)
	}
	if strings.Join(on.Compress.Algorithms, " ") != "zstd gzip" || on.Queue.Length != 5 || on.Hedge.Quantile != 0.9 || !on.AccessLog {
		t.Errorf("on: %+v", on)
	}
}

func TestNotations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		read       func(string) (string, error)
		good, want string
		bad        []string
	}{
		{
			read: func(s string) (string, error) {
				var n Network
				err := n.UnmarshalText([]byte(s))
				return n.String(), err
			},
			good: "10.0.0.0/8 192.0.2.1 ::ffff:192.0.2.1 2001:db8::/32 0.0.0.0/0", want: "10.0.0.0/8 192.0.2.1/32 192.0.2.1/32 2001:db8::/32 0.0.0.0/0",
			bad: []string{"", "a", "10.0.0.1/8", "10.0.0.0/33", "fe80::1%eth0", "10/8"},
		},
		{
			read: func(s string) (string, error) {
				var a Address
				err := a.UnmarshalText([]byte(s))
				return string(a), err
			},
			good: ":80 127.0.0.1:443 [::1]:8080 localhost:80 :0", want: ":80 127.0.0.1:443 [::1]:8080 localhost:80 :0",
			bad: []string{"", "80", "a.example:80", ":http", ":65536", "::1:80", ":-1", ":+1"},
		},
		{
			read: func(s string) (string, error) {
				var u UpstreamAddress
				err := u.UnmarshalText([]byte(s))
				return u.Network() + "|" + u.String(), err
			},
			good: "127.0.0.1:80 app:1 a-b.c_d.example.:65535 [2001:db8::1]:80 unix:/run/a unix:///run/a", want: "tcp|127.0.0.1:80 tcp|app:1 tcp|a-b.c_d.example.:65535 tcp|[2001:db8::1]:80 unix|/run/a unix|/run/a",
			bad: []string{"", ":80", "app", "app:0", "app:http", "http://app", "https://app:443", "unix:", "unix:a", "/run/a", "unix:/" + strings.Repeat("a", 107), "a b:1", "a/b:1", "-a:1", "a@b:1"},
		},
	} {
		var got []string
		for s := range strings.SplitSeq(c.good, " ") {
			g, err := c.read(s)
			if err != nil {
				t.Error(err)
			}
			got = append(got, g)
		}
		if all := strings.Join(got, " "); all != c.want {
			t.Errorf("%s, want %s", all, c.want)
		}
		for _, s := range c.bad {
			if g, err := c.read(s); err == nil {
				t.Errorf("%q is %q", s, g)
			} else if !strings.Contains(err.Error(), ":") {
				t.Errorf("%q: nothing says what would be right: %v", s, err)
			}
		}
	}
	var n Network
	if n.UnmarshalText([]byte("10.0.0.0/8")) != nil || !n.Contains(netip.MustParseAddr("10.1.2.3")) {
		t.Error("a network does not have its addresses")
	}
}

func TestKeysAndPagesAreInMemory(t *testing.T) {
	t.Parallel()
	f, err := parse("f", site(t), []byte("sticky_keys: sticky.key\nroutes: [{respond: {file: pages/soon.html}, error_pages: {5xx: pages/5xx.json, 503: pages/soon.html}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := f.Matcher.Rules()[0]
	a := r.Action.(*route.Respond)
	if len(f.StickyKeys.CurrentKey) != 32 || f.StickyKeys.PreviousKey != nil || !strings.Contains(string(a.Body), "Soon") || a.Fields[0].Value != "text/html; charset=utf-8" {
		t.Errorf("%+v %+v", f.StickyKeys, a)
	}
	if p := r.Policy.Page(502); p == nil || p.Type != "application/json" || len(p.Body) == 0 {
		t.Errorf("page for 502: %+v", p)
	}
	if p := r.Policy.Page(503); p == nil || p.Type != "text/html; charset=utf-8" {
		t.Errorf("page for 503: %+v", p)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	k := StickyKeys{CurrentKey: Secret("hunter2")}
	b, err := json.Marshal(k)
	if text := fmt.Sprintf("%v %+v %#v %s %x %s", k, k, k, k.CurrentKey, k.CurrentKey, b); err != nil || strings.Contains(text, "hunter2") || strings.Contains(text, "68756e") {
		t.Errorf("%s %v", text, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/valid/*.yaml", "testdata/errors/*.yaml"} {
		for _, path := range inputs(f, pattern, 3) {
			f.Add(slurp(f, path))
		}
	}
	dir := site(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 || strings.Contains(string(data), "/proc") || strings.Contains(string(data), "/sys") {
			return
		}
		file, err := parse("f", dir, data)
		if (file == nil) == (err == nil) {
			t.Fatalf("%v and %v", file, err)
		}
		var problems Problems
		if err != nil && (!errors.As(err, &problems) || len(problems) == 0 || problems[0].Line < 1 || problems[0].Message == "") {
			t.Fatalf("%#v", err)
		}
		if file == nil {
			return
		}
		for _, r := range file.Matcher.Rules() { // what a file names is there
			if to, ok := r.Action.(*route.Forward); ok {
				for _, s := range to.Pools {
					if len(file.Pools[s.Pool].Upstreams) == 0 {
						t.Errorf("pool %q is empty", s.Pool)
					}
				}
			}
		}
	})
}
