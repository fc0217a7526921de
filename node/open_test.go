package node

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What a gate's command leaves is the command's: it may not have control read anything else, or wait.
func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	scratch := filepath.Join(dir, "scratch")
	if err := os.Mkdir(scratch, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{filepath.Join(dir, "identity"): "secret", filepath.Join(scratch, "report.xml"): "mine"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"out": "../identity", "absolute": filepath.Join(dir, "identity"), "in": "report.xml"} {
		if err := os.Symlink(to, filepath.Join(scratch, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(scratch, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, good := range map[string]bool{"report.xml": true, "in": true, "out": false, "absolute": false, "../identity": false, "pipe": false, ".": false, "none": false} {
		f, err := (&machine{}).Open(scratch, path)
		if (err == nil) != good {
			t.Errorf("%s: %v", path, err)
		}
		if err != nil {
			continue
		}
		if b, err := io.ReadAll(f); err != nil || string(b) != "mine" {
			t.Errorf("%s: %q, %v", path, b, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
