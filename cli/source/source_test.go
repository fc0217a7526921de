package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semper"
	"semper/cli/source"
	"semper/internal/config"
)

func project(t *testing.T, extra string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"semper.yaml":    "version: 1\napp: bar\n" + extra + "services:\n  web:\n    command: cat app.txt\n",
		"app.txt":        "one",
		".semperignore":  "*.log\n",
		"noise/some.log": "noise",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func prepare(ctx context.Context, t *testing.T, dir string) (*source.Source, string, error) {
	t.Helper()
	var out bytes.Buffer
	s, err := source.Prepare(ctx, dir, source.Options{
		Lookup: func(string) (string, bool) { return "", false }, Output: &out,
		Step: func(phase, text string) { out.WriteString(phase + " " + text + "\n") },
	})
	return s, out.String(), err
}

func names(t *testing.T, s *source.Source) string {
	t.Helper()
	if _, err := s.Packed.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	var all []string
	for r := tar.NewReader(s.Packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return strings.Join(all, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h.Name)
	}
}

// TestWhatRoutesAnswerWithIsPacked: the directory may be built, and must be in the artifact when it is packed.
func TestWhatRoutesAnswerWithIsPacked(t *testing.T) {
	t.Parallel()
	routes := "routes: [{to: web}, {path: /x, files: out/www}]\n"
	for name, c := range map[string]struct{ build, want string }{
		"built":     {"mkdir -p out/www && touch out/www/a.html", ""},
		"below":     {"mkdir -p out/www/deep && touch out/www/deep/a.html", ""},
		"not built": {"mkdir -p out && touch out/www2", "no such directory"},
		"a file":    {"mkdir -p out && touch out/www", "no such directory"},
		"left out":  {"mkdir -p out/www && touch out/www/a.log && echo out >> .semperignore", "no such directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, err := prepare(t.Context(), t, project(t, "build: "+c.build+"\n"+routes))
			if err == nil {
				s.Close()
			}
			if (c.want == "") != (err == nil) || err != nil && (semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestPrepareBuildsAndPacks(t *testing.T) {
	t.Parallel()
	dir := project(t, "build: echo building; echo made > made.txt\n")
	s, said, err := prepare(t.Context(), t, dir)
	if err != nil {
		t.Fatal(err)
	}
	got := names(t, s)
	if !strings.Contains(got, "made.txt") || strings.Contains(got, "some.log") {
		t.Errorf("packed: %s", got)
	}
	if !strings.Contains(said, "building\n") || !strings.Contains(said, "pack "+s.Digest.Short()) || s.Size == 0 {
		t.Errorf("said: %s", said)
	}
	again, _, err := prepare(t.Context(), t, dir)
	if err != nil || again.Digest != s.Digest {
		t.Errorf("the same files have digest %s, then %s, %v", s.Digest, again.Digest, err)
	}
	s.Close()
	again.Close()
	if _, err := os.Stat(s.Packed.Name()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file stays: %v", err)
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	_, _, err := prepare(t.Context(), t, project(t, "build: exit 7\n"))
	if semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("a failing build: %v", err)
	}
	_, _, err = prepare(t.Context(), t, project(t, "nope: 1\n"))
	if _, ok := errors.AsType[*config.Errors](err); !ok {
		t.Errorf("a wrong file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, extra := range []string{"", "build: sleep 60\n"} {
		if _, _, err := prepare(ctx, t, project(t, extra)); err == nil {
			t.Errorf("%q: an interrupted preparation succeeds", extra)
		}
	}
}
