package crash_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"semper"
	"semper/keeper/crash"
)

func open(t *testing.T, dir string) *crash.Store {
	t.Helper()
	s, err := crash.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *crash.Store, what string) string {
	t.Helper()
	r, err := s.Add(semper.CrashReport{What: what, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

func ids(t *testing.T, s *crash.Store) []string {
	t.Helper()
	list, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range list {
		got = append(got, r.ID)
	}
	return got
}

func TestNumbersAreNeverGivenAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	first, second := add(t, s, "a"), add(t, s, "b")
	if err := s.Ack([]string{first, second, "c-99", "nonsense"}); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if third := add(t, s, "c"); third != "c-3" {
		t.Errorf("after %s and %s came %s", first, second, third)
	}
	if got := ids(t, s); len(got) != 1 || got[0] != "c-3" {
		t.Errorf("%v", got)
	}
}

func TestABrokenReportHidesNoOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	add(t, s, "a")
	add(t, s, "b")
	if err := os.WriteFile(filepath.Join(dir, "c-1.json"), []byte(`{"id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, s); len(got) != 1 || got[0] != "c-2" {
		t.Errorf("%v", got)
	}
}

func TestOldestGoWhenNobodyFetches(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for range crash.Max + 3 {
		add(t, s, "loop")
	}
	if got := ids(t, s); len(got) != crash.Max || got[0] != "c-4" {
		t.Errorf("%d, first %s", len(got), got[0])
	}
}
