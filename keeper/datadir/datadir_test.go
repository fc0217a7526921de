package datadir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"semper"
	"semper/keeper/datadir"
)

func TestFileNamesDoNotCollide(t *testing.T) {
	t.Parallel()
	id := rapid.StringMatching(`[a-z_.-]{1,4}/[a-z_.-]{1,4}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := id.Draw(t, "a"), id.Draw(t, "b")
		if a != b && datadir.FileName(a) == datadir.FileName(b) {
			t.Fatalf("%q and %q are both %q", a, b, datadir.FileName(a))
		}
		if strings.Contains(datadir.FileName(a), "/") {
			t.Fatalf("%q", datadir.FileName(a))
		}
	})
	if got := datadir.FileName("bar/web.r42.3"); got != "bar_web.r42.3" {
		t.Error(got)
	}
}

func TestEverySocketFitsItsPath(t *testing.T) {
	t.Parallel()
	long := datadir.Dir("/" + strings.Repeat("d", 84))
	id := semper.InstanceID(strings.Repeat("a", 60) + "/" + strings.Repeat("b", 60))
	for _, path := range []string{long.InstanceSocketDir(id) + "/sock", long.PartSocket("control-9999"), long.NotifySocket(), long.API()} {
		if len(path) > 108 {
			t.Errorf("%s has %d bytes", path, len(path))
		}
	}
	if _, err := datadir.Open("/tmp/"+strings.Repeat("d", 90), "1", 0); semper.CodeOf(err) != semper.Invalid {
		t.Error(err)
	}
}

func TestOneHolderAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "d")
	h, err := datadir.Open(path, "1", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := datadir.Open(path, "1", 0); semper.CodeOf(err) != semper.Conflict {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := datadir.Open(path, "2", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Marker.ID != h.Marker.ID || again.Marker.Version != "1" {
		t.Errorf("%+v became %+v", h.Marker, again.Marker)
	}
	for name, mode := range map[string]os.FileMode{"": 0o711, "run": 0o711, "keeper": 0o700, "secrets": 0o700, "instances": 0o711} {
		if st, err := os.Stat(filepath.Join(path, name)); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
}

func TestSettingsMayBeThereFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "queue.yaml"), []byte("engine: jetstream\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := datadir.Open(dir, "1", 0)
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
}

func TestForeignDirectoriesStayUntouched(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"foreign":        {"notes.txt": "x"},
		"newer":          {"semper.json": `{"format":99,"id":"x"}`},
		"broken marker":  {"semper.json": `{`},
		"marker of none": {"semper.json": `{"format":1}`},
	} {
		dir := t.TempDir()
		for f, text := range files {
			if err := os.WriteFile(filepath.Join(dir, f), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := datadir.Open(dir, "1", 0); semper.CodeOf(err) != semper.Invalid || semper.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != len(files) {
			t.Errorf("%s: touched: %v", name, entries)
		}
	}
}
