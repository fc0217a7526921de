package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semper"
	"semper/experiment/design"
)

var update = flag.Bool("update", false, "write golden files, docs/configuration.md and docs/semper.schema.json anew")

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what comes out now (-file +now); go test ./internal/config -update writes it:\n%s", path, diff)
	}
}

// environment is the lookup of all tests.
func environment(name string) (string, bool) {
	v, ok := map[string]string{"REGION": "eu", "EMPTY": "", "PORT": "1234", "N": "4", "HOME": "/home/a"}[name]
	return v, ok
}

func TestErrors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/errors/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			f, err := Load(path, environment)
			if err == nil {
				t.Fatalf("no error, but %+v", f)
			}
			checkProblems(t, path, err)
			golden(t, strings.TrimSuffix(path, ".yaml")+".err", strings.ReplaceAll(err.Error(), "testdata/errors/", "")+"\n")
		})
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/valid/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			f, err := Load(path, environment)
			if err != nil {
				t.Fatal(err)
			}
			dir, err := filepath.Abs("testdata/valid")
			if err != nil {
				t.Fatal(err)
			}
			spec, err := json.MarshalIndent(struct {
				Spec     semper.Spec
				Artifact Artifact
				Pipeline *semper.Pipeline `json:",omitempty"`

				Experiments []design.Plan `json:",omitempty"`
			}{f.Spec, f.Artifact, f.Pipeline, f.Experiments}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, key := range slices.Sorted(maps.Keys(f.Origins)) {
				fmt.Fprintf(&b, "%s: %s\n", key, strings.TrimPrefix(f.Origins[key].String(), "testdata/valid/"))
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".out", strings.ReplaceAll(string(spec), dir, "DIR")+"\n"+b.String())
		})
	}
}

// checkProblems asserts what every error promises: places inside the file, in order, with their lines.
func checkProblems(t testing.TB, path string, err error) {
	t.Helper()
	problems, ok := err.(*Errors)
	if !ok || len(*problems) == 0 {
		t.Fatalf("not *Errors with problems: %#v", err)
	}
	data, rerr := os.ReadFile(path)
	if rerr != nil {
		t.Fatal(rerr)
	}
	checkPlaces(t, data, *problems)
}

func checkPlaces(t testing.TB, data []byte, problems Errors) {
	t.Helper()
	lines := splitLines(data)
	for i, p := range problems {
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 {
			t.Fatalf("place %d:%d is not in a file of %d lines: %v", p.Line, p.Column, len(lines), p)
		}
		if n := len([]rune(lines[p.Line-1])); p.Column > n+1 {
			t.Errorf("column %d of a line with %d characters: %v", p.Column, n, p)
		}
		if p.Message == "" || strings.Contains(p.Message, "config.") {
			t.Errorf("message %q", p.Message)
		}
		if i > 0 && (problems[i-1].Line > p.Line || problems[i-1].Line == p.Line && problems[i-1].Column > p.Column) {
			t.Errorf("out of order: %v after %v", p, problems[i-1])
		}
	}
}
