package spill_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper"
	"semper/queue/spill"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBodies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := spill.Open(filepath.Join(dir, "bodies"))
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("semper "), 100_000)
	a, err := d.Put("job-1", body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Put("job-2", body)
	if err != nil || a == b {
		t.Fatalf("two owners have %s and %s, %v", a, b, err)
	}
	d.Remove(a)
	d.Remove(a)
	if _, err := d.Get(a); semper.CodeOf(err) != semper.NotFound {
		t.Errorf("what was removed: %v", err)
	}
	got, err := d.Get(b)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	body[7]++
	if err := os.WriteFile(filepath.Join(dir, "bodies", b), body, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(b); semper.CodeOf(err) != semper.Tampered {
		t.Errorf("a changed byte: %v", err)
	}
	for _, bad := range []string{"", "x", "../bodies/" + b} {
		if _, err := d.Get(bad); semper.CodeOf(err) != semper.Tampered {
			t.Errorf("Get(%q): %v", bad, err)
		}
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := spill.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, owner := range []string{"kept", "left", "young"} {
		name, err := d.Put(owner, []byte(owner))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	names = append(names, "tmp-123")
	if err := os.WriteFile(filepath.Join(dir, "tmp-123"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range []string{names[0], names[1], names[3]} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.Sweep(time.Hour, func(name string) bool { return name == names[0] }); n != 2 || err != nil {
		t.Errorf("%d were removed, %v", n, err)
	}
	for i, want := range []bool{true, false, true, false} {
		if _, err := os.Stat(filepath.Join(dir, names[i])); (err == nil) != want {
			t.Errorf("%s is there: %t", names[i], err == nil)
		}
	}
}
