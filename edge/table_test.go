package edge

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"semper"
	"semper/edge/config"
	"semper/edge/route"
	"semper/edge/tablefile"
)

// TestBootsFromTheLastTable: a new edge of the same directory serves before anybody tells it anything.
func TestBootsFromTheLastTable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r4.1", says(4))
	f.table(4, nil, a.Backend)
	next := newFixture(t, func(o *Options) { o.ID, o.Dir = "edge-2", f.dir })
	if next.Epoch() != f.Epoch() {
		t.Errorf("epoch %d, want %d", next.Epoch(), f.Epoch())
	}
	if resp, _ := get(t, client(t), next.url("/")); resp.Header.Get("X-Semper-Release") != "r4" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
}

func TestABrokenTableIsMovedAside(t *testing.T) {
	t.Parallel()
	kept := t.TempDir()
	if err := tablefile.Save(kept, semper.Table{Epoch: 7, Pools: []semper.Pool{{Key: "a/b/c", App: "a"}}}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(kept, tablefile.Name))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": {}, "cut short": whole[:len(whole)/2], "a bit turned": bytes.Replace(whole, []byte("a/b/c"), []byte("a/b/d"), 1),
		"another format": bytes.Replace(whole, []byte(`"format":1`), []byte(`"format":2`), 1), "zeros": make([]byte, 4096),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, tablefile.Name)
			for n := range 2 {
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				var log bytes.Buffer
				e, err := New(Options{ID: "edge-1", Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
				if err != nil {
					t.Fatal(err)
				}
				if e.Epoch() != 0 || !strings.Contains(log.String(), "broken") {
					t.Errorf("epoch %d, log %s", e.Epoch(), log.String())
				}
				if err := e.Close(); err != nil {
					t.Error(err)
				}
				aside, err := filepath.Glob(path + ".broken*")
				if err != nil || len(aside) != n+1 {
					t.Errorf("moved aside: %v %v", aside, err)
				}
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := func() semper.Table {
		return semper.Table{Epoch: 1, Routes: []semper.Route{{Path: "/", Pool: "a/p/w"}},
			Pools: []semper.Pool{{Key: "a/p/w", App: "a", Release: "r1", Backend: []semper.Backend{{ID: "a/w.r1.1", Address: "127.0.0.1:80"}}}}}
	}
	for name, spoil := range map[string]func(*semper.Table){
		"route to nowhere": func(t *semper.Table) { t.Routes[0].Pool = "a/p/x" },
		"route twice":      func(t *semper.Table) { t.Routes = append(t.Routes, t.Routes[0]) },
		"relative path":    func(t *semper.Table) { t.Routes[0].Path = "x" },
		"pool twice":       func(t *semper.Table) { t.Pools = append(t.Pools, t.Pools[0]) },
		"pool without key": func(t *semper.Table) { t.Pools[0].Key = "" },
		"pool without app": func(t *semper.Table) { t.Pools[0].App = "" },
		"instance twice":   func(t *semper.Table) { t.Pools[0].Backend = append(t.Pools[0].Backend, t.Pools[0].Backend[0]) },
		"no port":          func(t *semper.Table) { t.Pools[0].Backend[0].Address = "127.0.0.1" },
		"port 0":           func(t *semper.Table) { t.Pools[0].Backend[0].Address = "127.0.0.1:0" },
		"relative socket":  func(t *semper.Table) { t.Pools[0].Backend[0].Address = "unix:x" },
		"unnamed instance": func(t *semper.Table) { t.Pools[0].Backend[0].ID = "" },
	} {
		tab := good()
		spoil(&tab)
		if err := f.Apply(tab); semper.CodeOf(err) != semper.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.Epoch() != 0 {
		t.Errorf("epoch %d", f.Epoch())
	}
	if err := f.Apply(good()); err != nil {
		t.Error(err)
	}
}

// TestATableThatCannotBeKeptIsNotServed: an acknowledged epoch is one that a restart finds.
func TestATableThatCannotBeKeptIsNotServed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, nil, a.Backend)
	if err := os.RemoveAll(f.dir); err != nil {
		t.Fatal(err)
	}
	next := f.tab
	next.Epoch, next.Pools = 2, []semper.Pool{{Key: webPool, App: "bar", Release: "r2"}}
	if err := f.Apply(next); err == nil || semper.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	if resp, _ := get(t, client(t), f.url("/")); f.Epoch() != 1 || resp.Header.Get("X-Semper-Release") != "r1" {
		t.Errorf("epoch %d, %v", f.Epoch(), resp.Header)
	}
}

// TestMatch compares with the rule written out: an exact host before any, then the longest prefix.
func TestMatch(t *testing.T) {
	t.Parallel()
	hosts, paths := []string{"", "a.example", "b.example"}, []string{"/", "/a", "/a/b", "/ab", "/a/b/c"}
	rapid.Check(t, func(t *rapid.T) {
		var tab semper.Table
		for _, h := range hosts {
			for _, p := range paths {
				if rapid.Bool().Draw(t, h+p) {
					k := semper.PoolKey(h + p)
					tab.Routes = append(tab.Routes, semper.Route{Host: h, Path: p, Pool: k})
				}
			}
		}
		m, _, err := config.OfTable(tab, nil)
		if err != nil {
			t.Fatal(err)
		}
		host := rapid.SampledFrom(append(hosts, "c.example")).Draw(t, "host")
		path := rapid.SampledFrom(append(paths, "/abc", "/a/bc", "/a/", "/x", "/a/b/c/d")).Draw(t, "path")
		want := semper.PoolKey("none")
		for _, h := range []string{host, ""} {
			best := -1
			for _, r := range tab.Routes {
				below := r.Path == "/" || path == r.Path || strings.HasPrefix(path, r.Path+"/")
				if r.Host == h && below && len(r.Path) > best {
					best, want = len(r.Path), r.Pool
				}
			}
			if best >= 0 {
				break
			}
		}
		got := semper.PoolKey("none")
		if r := m.Match(&route.Query{Host: []byte(host), Path: []byte(path)}); r != nil {
			got = semper.PoolKey(r.Action.(*route.Forward).Pools[0].Pool) //nolint:errcheck,forcetypeassert // a table has no others
		}
		if got != want {
			t.Fatalf("%s%s goes to %s, want %s", host, path, got, want)
		}
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{}); semper.CodeOf(err) != semper.Invalid {
		t.Error(err)
	}
	f := newFixture(t)
	if err := f.Serve(f.l, true); semper.CodeOf(err) != semper.Invalid {
		t.Error(err)
	}
}

// TestTheNewestTableIsKept where two edges share a directory while one replaces the other.
func TestTheNewestTableIsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	g := newFixture(t, func(o *Options) { o.ID, o.Dir = "edge-2", f.dir })
	for n := range 3 {
		if err := f.Apply(semper.Table{Epoch: semper.Epoch(n + 10)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Apply(semper.Table{Epoch: 5}); err != nil || g.Epoch() != 5 {
		t.Fatal(g.Epoch(), err)
	}
	if tab, err := tablefile.Load(f.dir, slog.New(slog.DiscardHandler)); err != nil || tab.Epoch != 12 {
		t.Errorf("kept %d, %v", tab.Epoch, err)
	}
}
