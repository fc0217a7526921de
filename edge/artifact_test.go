package edge

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"semper"
)

// released are artifacts unpacked, each of which has its name in public/a.txt.
func released(t *testing.T, names ...string) (func(*Options), map[string]semper.Digest) {
	t.Helper()
	top, digests := t.TempDir(), make(map[string]semper.Digest)
	for i, name := range names {
		d := semper.Digest("sha256:" + strings.Repeat(string(rune('a'+i)), 64))
		dir := filepath.Join(top, d.Hex(), "public")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		digests[name] = d
	}
	return func(o *Options) {
		o.Trees = func(d semper.Digest) string { return filepath.Join(top, d.Hex()) }
	}, digests
}

// answering is a table whose one route answers with files of a.
func answering(f *fixture, dir string, a semper.Digest) semper.Table {
	words := semper.RouteWords{Answer: json.RawMessage(`{"files":"` + dir + `"}`)}
	return semper.Table{Epoch: f.Epoch() + 1, Rules: []semper.Route{{Path: "/", Artifact: a, RouteWords: words}}}
}

// TestATableAnswersWithFilesOfItsRelease: a cutover changes them for every request that begins behind it, and a rollback brings
// back what was, while requests go on.
func TestATableAnswersWithFilesOfItsRelease(t *testing.T) {
	t.Parallel()
	trees, digests := released(t, "r1", "r2")
	f := newFixture(t, trees)
	apply := func(name string) {
		t.Helper()
		if err := f.Apply(answering(f, "public", digests[name])); err != nil {
			t.Fatal(err)
		}
	}
	apply("r1")
	stop, all := make(chan struct{}), sync.WaitGroup{}
	for range 4 {
		all.Go(func() {
			c := client(t)
			for n := 0; ; n++ {
				select {
				case <-stop:
					if n > 0 {
						return
					}
				default:
				}
				if resp, body := get(t, c, f.url("/a.txt")); resp.StatusCode != 200 || body != "r1" && body != "r2" {
					t.Errorf("%s %q", resp.Status, body)
				}
			}
		})
	}
	c := client(t)
	for range 20 {
		for _, name := range []string{"r2", "r1"} {
			apply(name)
			if resp, body := get(t, c, f.url("/a.txt")); body != name {
				t.Errorf("behind the cutover to %s: %s %q", name, resp.Status, body)
			}
		}
	}
	close(stop)
	all.Wait()
}

// TestAReleaseWithoutItsFilesStopsNobodyElse: the route says that they are not there, and the table serves.
func TestAReleaseWithoutItsFilesStopsNobodyElse(t *testing.T) {
	t.Parallel()
	trees, digests := released(t, "r1")
	for name, c := range map[string]struct {
		dir      string
		artifact semper.Digest
		want     int
	}{
		"gone":     {"dist", digests["r1"], 503},
		"unknown":  {"public", semper.Digest("sha256:" + strings.Repeat("f", 64)), 503},
		"unsaid":   {"public", "", 404},
		"no place": {"../..", digests["r1"], 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, trees)
			tab := answering(f, c.dir, c.artifact)
			tab.Rules = append(tab.Rules, semper.Route{Path: "/ok", RouteWords: semper.RouteWords{Answer: json.RawMessage(`{"respond":204}`)}})
			if err := f.Apply(tab); err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]int{"/a.txt": c.want, "/ok": 204} {
				if resp, _ := get(t, client(t), f.url(path)); resp.StatusCode != want {
					t.Errorf("%s: %s, not %d", path, resp.Status, want)
				}
			}
		})
	}
}
