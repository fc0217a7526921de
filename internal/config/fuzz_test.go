package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func seeds(f *testing.F) {
	for _, pattern := range []string{"testdata/errors/*.yaml", "testdata/valid/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%d files: %v", len(files), err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// readsWell asserts what holds for any input: a whole file, or problems with places inside it.
func readsWell(t testing.TB, data []byte, f *File, err error) {
	t.Helper()
	if err == nil {
		if f.Spec.App == "" || len(f.Spec.Services) == 0 || f.Spec.Warm == 0 || (f.Artifact.Dir == "") == (f.Artifact.Tar == "") {
			t.Errorf("not whole: %+v", f)
		}
		for name, s := range f.Spec.Services {
			if len(s.Command) == 0 || s.Health.Kind == "" || s.Instances < 0 {
				t.Errorf("service %s is not whole: %+v", name, s)
			}
		}
		return
	}
	problems, ok := err.(*Errors)
	if !ok || len(*problems) == 0 || f != nil || err.Error() == "" {
		t.Fatalf("%v and %#v", f, err)
	}
	checkPlaces(t, data, *problems)
}

func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse("semper.yaml", "/srv/shop", data, environment)
		readsWell(t, data, file, err)
	})
}

func FuzzParseProcfile(f *testing.F) {
	f.Add([]byte("web: ./a -p $PORT\nrelease: x\nw_2: 'b c'\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parseProcfile("Procfile", "/srv/shop", data, environment)
		readsWell(t, data, file, err)
	})
}

// Any file made of the words of the format is read well, however they are put together.
func TestAnyCombinationOfWords(t *testing.T) {
	t.Parallel()
	words := []string{
		": ", ":\n", "\n  ", "\n    ", "\n", "{ ", " }", "[", "]", ", ", "- ", "&a ", "*a", "<<: ", "x-a", "${N}", "${X}", "${", "$$", "'", `"`, "|", "!!str ", "---\n", "ü", "\t", "#", "~",
		"1", "0.5", "30s", "64MiB", "true", "/", "SIGTERM", "web", "worker", "socket", "exec ./a; b", "secret", "path", "tcp", "exec", "notify",
	}
	for _, s := range (fieldCache{}).settings() {
		words = append(words, s.name+": ")
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 40).Draw(t, "words"), "")
		if rapid.Bool().Draw(t, "begun") {
			text = "version: 1\napp: a\nservices:\n  web:\n    command: ./a\n    " + text
		}
		file, err := parse("semper.yaml", "/srv/shop", []byte(text), environment)
		if err != nil {
			problems, ok := err.(*Errors)
			if !ok || len(*problems) == 0 {
				t.Fatalf("%#v", err)
			}
			lines := splitLines([]byte(text))
			for _, p := range *problems {
				if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len([]rune(lines[p.Line-1]))+1 {
					t.Fatalf("place %d:%d is outside of %q: %v", p.Line, p.Column, text, p)
				}
			}
		} else if len(file.Spec.Services) == 0 {
			t.Fatalf("no service: %q", text)
		}
	})
}

// Files made to be slow to read are not.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	fill := func(s string) string { return strings.Repeat(s, maxFile/4/len(s)) }
	for name, text := range map[string]string{
		"unknown keys":   fill("a: 1\n"),
		"one long line":  "{" + fill("a: 1, ") + "}",
		"bad routes":     smallest + "routes:\n" + fill("- { to: x, path: y }\n"),
		"variables":      smallest + "warm: " + fill("${A}"),
		"many variables": smallest + "env:\n  A: |\n" + fill("   ${A}\n"),
		"deep":           fill("["),
		"deep maps":      fill("{a: "),
		"dashes":         fill("- "),
		"spaces":         "a:" + fill(" ") + "b: c",
		"quotes":         smallest + "build: " + fill("'"),
		"substitutions":  smallest + "build: x\nx-y: z\nwarm: " + fill("`$("),
		"command":        "version: 1\napp: a\nservices: { web: { command: \"" + fill("$( ") + "\" } }",
		"anchors":        "x: &a [" + fill("*a,") + "]",
		"merges":         "x-a: &a { a: 1 }\nb: { " + fill("<<: *a, ") + " }",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := parse("semper.yaml", "/srv/shop", []byte(text), environment)
			if err == nil {
				readsWell(t, []byte(text), f, err)
				return
			}
			if n := len(*err.(*Errors)); n > maxProblems+1 {
				t.Errorf("%d problems", n)
			}
			if n := len(err.Error()); n > 2<<20 {
				t.Errorf("%d bytes of error", n)
			}
		})
	}
}
