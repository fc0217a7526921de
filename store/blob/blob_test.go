package blob_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semper"
	"semper/store/blob"
)

// tree makes a directory of files: names ending in "/" are directories, values beginning "->" are
// links, values beginning "#!" are executable.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	fill(t, dir, files)
	return dir
}

func fill(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch {
		case name[len(name)-1] == '/':
			must(t, os.MkdirAll(path, 0o755))
		case len(content) > 2 && content[:2] == "->":
			must(t, os.Symlink(content[2:], path))
		case len(content) > 2 && content[:2] == "#!":
			must(t, os.WriteFile(path, []byte(content), 0o755))
		default:
			must(t, os.WriteFile(path, []byte(content), 0o644))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pack(t testing.TB, dir string) (semper.Digest, []byte) {
	t.Helper()
	var b bytes.Buffer
	d, n, err := blob.Pack(&b, dir, blob.Ignore{})
	must(t, err)
	if n != int64(b.Len()) {
		t.Fatalf("Pack says %d bytes and wrote %d", n, b.Len())
	}
	if got := semper.DigestOf(b.Bytes()); got != d {
		t.Fatalf("Pack says %s and wrote %s", d, got)
	}
	return d, b.Bytes()
}

func open(t testing.TB) *blob.Store {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "blobs")
	s, err := blob.Open(dir)
	must(t, err)
	t.Cleanup(func() { // trees are read-only, also for t.TempDir where the test is not root
		_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_ = os.Chmod(p, 0o700)
			}
			return nil
		})
	})
	return s
}

func put(t testing.TB, s *blob.Store, dir string) semper.Digest {
	t.Helper()
	d, b := pack(t, dir)
	must(t, s.Put(t.Context(), d, bytes.NewReader(b)))
	return d
}

// sample has one of everything.
func sample() map[string]string {
	return map[string]string{
		"app.py": "print(1)\n", "bin/run": "#!/bin/sh\n", "empty/": "", "lib/here": "->../app.py", "lib/a": "1", "lib-a": "2", "lib.d/x/y/z": "3", "nothing": "",
	}
}

func wantCode(t testing.TB, err error, code semper.Code, words string) {
	t.Helper()
	if semper.CodeOf(err) != code || !strings.Contains(err.Error(), words) {
		t.Errorf("error is %v (code %q), want %q with %q", err, semper.CodeOf(err), code, words)
	}
}
