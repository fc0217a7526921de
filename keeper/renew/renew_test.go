package renew_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semper"
	"semper/keeper/renew"
)

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "semper")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBuildTellsBinariesApart(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied, err := renew.Copy(self, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if a, b := renew.BuildOf(self), renew.BuildOf(copied); a != b || len(a) < 20 {
		t.Errorf("%q and %q", a, b)
	}
	if a, b := renew.BuildOf(self), renew.BuildOf("/bin/sh"); a == b {
		t.Errorf("both are %q", a)
	}
	if got := renew.BuildOf("/no/such/file"); got != "unknown" {
		t.Error(got)
	}
}

func TestCopyIsNamedByItsContentAndExecutable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, err := renew.Copy(script(t, "echo semper 9; echo more"), dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := renew.Copy(script(t, "echo semper 9; echo more"), dir)
	if err != nil || again != path {
		t.Errorf("%s and %s, %v", path, again, err)
	}
	if v, err := renew.Version(t.Context(), path); err != nil || v != "semper 9" {
		t.Errorf("%q, %v", v, err)
	}
	other, err := renew.Copy(script(t, "exit 1"), dir)
	if err != nil {
		t.Fatal(err)
	}
	renew.Sweep(dir, map[string]bool{path: true})
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 || filepath.Join(dir, entries[0].Name()) != path {
		t.Errorf("%v; %s should be gone", entries, other)
	}
}

func TestWhatDoesNotRunIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := renew.Copy("/no/such/file", t.TempDir()); semper.CodeOf(err) != semper.Invalid {
		t.Error(err)
	}
	_, err := renew.Version(t.Context(), script(t, "echo wrong machine >&2; exit 2"))
	if semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), "wrong machine") {
		t.Error(err)
	}
}

func TestKept(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	t.Setenv(renew.Env, "lock=x")
	if _, err := renew.Kept(); err == nil {
		t.Error("nonsense was taken")
	}
	t.Setenv(renew.Env, "")
	if got, err := renew.Kept(); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}
