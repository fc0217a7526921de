package sealed_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"filippo.io/age"

	"semper/edge/certs"
	"semper/edge/certs/sealed"
	"semper/edge/certs/storagetest"
)

func identity(t *testing.T, file string) *age.X25519Identity {
	t.Helper()
	id, err := sealed.Identity(file)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestContract(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) (a, b certs.Storage, lose func(string)) {
		dir := t.TempDir()
		file := filepath.Join(dir, "identity")
		f := certs.File{Dir: filepath.Join(dir, "s")}
		return sealed.Storage(f, identity(t, file)), sealed.Storage(f, identity(t, file)), nil
	})
}

func TestWhatIsStoredTellsNothing(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	plain := certs.File{Dir: filepath.Join(dir, "s")}
	s := sealed.Storage(plain, identity(t, filepath.Join(dir, "identity")))
	secret := []byte("-----BEGIN PRIVATE KEY-----")
	if err := s.Store(ctx, "a/key", secret); err != nil {
		t.Fatal(err)
	}
	text, err := plain.Load(ctx, "a/key")
	if err != nil || bytes.Contains(text, secret) || bytes.Contains(text, []byte("PRIVATE")) {
		t.Fatalf("%q, %v", text, err)
	}
	// A value is good under its own key alone, unchanged, and for whoever has the identity.
	changed := bytes.Clone(text)
	changed[len(changed)-1] ^= 1
	for key, value := range map[string][]byte{"b/key": text, "c": changed, "d": secret, "e": nil, "f": text[:len(text)/2]} {
		if err := plain.Store(ctx, key, value); err != nil {
			t.Fatal(err)
		}
		v, err := s.Load(ctx, key)
		if !errors.Is(err, sealed.ErrSealed) || v != nil {
			t.Errorf("%s: %q, %v", key, v, err)
		}
	}
	other := sealed.Storage(plain, identity(t, filepath.Join(dir, "other")))
	if v, err := other.Load(ctx, "a/key"); !errors.Is(err, sealed.ErrSealed) || v != nil {
		t.Errorf("with another identity: %q, %v", v, err)
	}
	if _, err := s.Load(ctx, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}

// TestAllGetOneIdentity: the processes of a machine begin at the same time.
func TestAllGetOneIdentity(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made")
	file := filepath.Join(dir, "identity")
	ids := make([]string, 16)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			id, err := sealed.Identity(file)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = id.String()
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatal("not everybody has the same")
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v stay behind, %v", entries, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestWhatIsNoIdentity(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "identity")
	for _, text := range []string{"", "AGE-SECRET-KEY-1WRONG", "nonsense"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sealed.Identity(file)
		if err == nil || text != "" && bytes.Contains([]byte(err.Error()), []byte(text)) {
			t.Errorf("%q: %v", text, err)
		}
		if left, err := os.ReadFile(file); err != nil || string(left) != text {
			t.Errorf("the file was changed: %q, %v", left, err)
		}
	}
}

func TestEachIdentityHasItsPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := identity(t, filepath.Join(dir, "a")), identity(t, filepath.Join(dir, "b"))
	if p := sealed.Place(a); p == sealed.Place(b) || p != sealed.Place(identity(t, filepath.Join(dir, "a"))) || len(p) != 16 {
		t.Errorf("%q and %q", p, sealed.Place(b))
	}
}
