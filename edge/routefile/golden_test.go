package routefile

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semper/edge/route"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", path, diff)
	}
}

// site is the directory that the files of testdata name files of.
func site(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("testdata/site")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func inputs(t testing.TB, pattern string, least int) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < least {
		t.Fatalf("%d files like %s: %v", len(files), pattern, err)
	}
	return files
}

func slurp(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestValidFiles(t *testing.T) {
	t.Parallel()
	for _, path := range inputs(t, "testdata/valid/*.yaml", 3) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			f, err := parse(filepath.Base(path), site(t), slurp(t, path))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".out", dump(t, f))
		})
	}
}

// dump is a file as text: its settings, and each rule with its action.
func dump(t testing.TB, f *File) string {
	t.Helper()
	rules := f.Matcher.Rules()
	shown := *f
	shown.Matcher = nil
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(shown); err != nil {
		t.Fatal(err)
	}
	for i := range rules {
		fmt.Fprintf(&b, "\n%T ", rules[i].Action)
		if err := e.Encode(struct {
			Name   string
			Match  route.Match
			Action route.Action
			Policy route.Policy
		}{rules[i].Name, rules[i].Match, rules[i].Action, rules[i].Policy}); err != nil {
			t.Fatal(err)
		}
	}
	return strings.ReplaceAll(b.String(), site(t), "SITE")
}

func TestInvalidFiles(t *testing.T) {
	t.Parallel()
	for _, path := range inputs(t, "testdata/errors/*.yaml", 8) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			f, err := parse(filepath.Base(path), site(t), slurp(t, path))
			if err == nil {
				t.Fatalf("nothing is wrong with it: %s", dump(t, f))
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".err", strings.ReplaceAll(err.Error(), site(t), "SITE")+"\n")
		})
	}
}
