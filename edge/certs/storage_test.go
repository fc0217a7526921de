package certs_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"semper"
	"semper/edge/certs"
	"semper/edge/certs/storagetest"
	"semper/store"
	"semper/store/mem"
)

func TestFile(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) (a, b certs.Storage, lose func(string)) {
		dir := filepath.Join(t.TempDir(), "made")
		t.Cleanup(func() {
			if left, _ := filepath.Glob(filepath.Join(dir, "locks", "*")); len(left) > 0 {
				t.Errorf("locks stay behind: %q", left)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "data", ".*")); len(left) > 0 {
				t.Errorf("temporary files stay behind: %q", left)
			}
		})
		return certs.File{Dir: dir}, certs.File{Dir: dir}, nil
	})
}

func TestInStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) (a, b certs.Storage, lose func(string)) {
		s := mem.New()
		t.Cleanup(func() { s.Close() })
		// What the store does to a leader it has not heard of for too long.
		lose = func(name string) {
			_, err := s.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: store.LeadKey("certs/" + name), Delete: true}}})
			if err != nil {
				t.Fatal(err)
			}
		}
		return certs.InStore(s, "certs/", "edge-1"), certs.InStore(s, "certs/", "edge-2"), lose
	})
}

// TestFilePermissions: private keys are nobody else's to read.
func TestFilePermissions(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made")
	f := certs.File{Dir: dir}
	if err := f.Store(t.Context(), "a/b/key", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	l, err := f.Lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release(t.Context())
	err = filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		return errors.Join(err, private(name, info))
	})
	if err != nil {
		t.Error(err)
	}
}

func private(name string, info os.FileInfo) error {
	if info.Mode().Perm()&0o077 != 0 {
		return errors.New(name + " is " + info.Mode().String())
	}
	return nil
}
