package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semper"
)

const smallest = "version: 1\napp: shop\nservices: { web: { command: ./a } }\n"

// write makes files in a new directory called shop.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoadFinds(t *testing.T) {
	t.Parallel()
	procfile := "web: ./a\n"
	for want, files := range map[string]map[string]string{
		"semper.yaml": {"semper.yaml": smallest, "semper.yml": "x", "Procfile": "x"},
		"semper.yml":  {"semper.yml": smallest, "Procfile": "x"},
		"Procfile":    {"Procfile": procfile},
	} {
		dir := write(t, files)
		f, err := Load(dir, environment)
		if err != nil || f.Path != filepath.Join(dir, want) || f.Artifact.Dir != dir {
			t.Errorf("%s: %+v, %v", want, f, err)
		}
	}
	for name, text := range map[string]string{"other.yaml": smallest, "Procfile.dev": procfile, "anything": smallest, "Procfile.yaml": smallest} {
		if _, err := Load(filepath.Join(write(t, map[string]string{name: text}), name), environment); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadMissing(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"semper.yaml/x": ""})
	big := write(t, map[string]string{"semper.yaml": strings.Repeat("#", maxFile+1)})
	for path, want := range map[string][]string{
		dir:                           {"no configuration in this directory: looked for semper.yaml, semper.yml, Procfile", "semper init"},
		filepath.Join(dir, "no.yaml"): {"no such file", "semper init"},
		filepath.Join(dir, "semper.yaml", "x", "y"): {"cannot be read: not a directory"},
		big:         {"1048577 bytes; a configuration file has at most 1048576"},
		"/dev/null": {"not a regular file"},
	} {
		_, err := Load(path, environment)
		var problems *Errors
		if !errors.As(err, &problems) || len(*problems) != 1 || semper.CodeOf(err) != semper.Invalid {
			t.Errorf("%s: %v (%s)", path, err, semper.CodeOf(err))
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: no %q in %v", path, w, err)
			}
		}
	}
}

func TestArtifact(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]Artifact{
		"":                                      {Dir: "DIR"},
		"artifact: dist":                        {Dir: "DIR/dist"},
		"artifact: ./dist/../dist/":             {Dir: "DIR/dist"},
		"artifact: app.tar":                     {Tar: "DIR/app.tar"},
		"artifact: app.tar.gz":                  {Tar: "DIR/app.tar.gz"},
		"artifact: dir.tar":                     {Dir: "DIR/dir.tar"},
		"artifact: later\nbuild: make":          {Dir: "DIR/later", Build: []string{"/bin/sh", "-c", "make"}},
		"artifact: later.tgz\nbuild: [make, x]": {Tar: "DIR/later.tgz", Build: []string{"make", "x"}},
		"artifact: /tmp":                        {Dir: "/tmp"},
	} {
		dir := write(t, map[string]string{"dist/x": "", "app.tar": "", "app.tar.gz": "", "dir.tar/x": "", "semper.yaml": smallest + file + "\n"})
		f, err := Load(dir, environment)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		got := f.Artifact
		got.Dir, got.Tar = strings.Replace(got.Dir, dir, "DIR", 1), strings.Replace(got.Tar, dir, "DIR", 1)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1B": 1, "1KiB": 1024, "64MiB": 64 << 20, "1.5GiB": 3 << 29, "2TiB": 2 << 40, "1kB": 1000, "1KB": 1000, "3MB": 3e6, "1GB": 1e9, "1TB": 1e12, "10 MiB": 10 << 20, "1048576TiB": 1 << 60,
	} {
		f, err := parse("semper.yaml", t.TempDir(), []byte("version: 1\napp: a\nservices: {w: {type: worker, command: ./a, limits: {memory: "+text+"}}}\n"), nil)
		if err != nil || f.Spec.Services["w"].Limits.Memory != want {
			t.Errorf("%s: %v, %v", text, f, err)
		}
	}
	for text, want := range map[string]string{
		"512": `write "512B"`, "512M": `write "512MiB"`, "512m": `write "512MiB"`, "1Gi": `write "1GiB"`, "5 apples": "it is one of B, KiB", "-1MiB": "is not a size", "0MiB": "at least 1B",
		"2097152TiB": "the largest", "1e3B": "is not a size", "5 lots": "is not a unit", "MiB": "is not a size",
	} {
		_, err := parse("semper.yaml", t.TempDir(), []byte("version: 1\napp: a\nservices: {w: {type: worker, command: ./a, limits: {memory: "+text+"}}}\n"), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: no %q in %v", text, want, err)
		}
	}
}
