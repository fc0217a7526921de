package journal_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper/keeper/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(dir string) *journal.Journal {
	return journal.Open(dir, func(s string) string { return s }, slog.New(slog.DiscardHandler))
}

func part(name string, n int64) journal.Record {
	return journal.Record{Name: name, Incarnation: n, Desired: journal.Run, Part: &journal.Part{Kind: name}}
}

func TestLastWriteWins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(dir)
	if err := j.PutSync(part("edge-1", 0)); err != nil {
		t.Fatal(err)
	}
	for n := range int64(200) {
		j.Put(part("edge-1", n))
	}
	j.Put(part("gone", 1))
	if err := j.Remove("gone"); err != nil {
		t.Fatal(err)
	}
	if err := j.Remove("never there"); err != nil {
		t.Fatal(err)
	}
	j.Put(part("store", 7))
	j.Close()
	j.Put(part("store", 8)) // after the end it is written at once
	again := open(dir)
	defer again.Close()
	records, err := again.Load()
	if err != nil || len(records) != 2 || records[0].Incarnation != 199 || records[1].Incarnation != 8 {
		t.Errorf("%+v, %v", records, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".tmp-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBrokenRecordIsSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(dir)
	defer j.Close()
	if err := j.PutSync(part("good", 1)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"torn": `{"name":"to`, "neither": `{"name":"neither"}`, "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	records, err := j.Load()
	if err != nil || len(records) != 1 || records[0].Name != "good" {
		t.Errorf("%+v, %v", records, err)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "*.broken")); len(aside) != 3 {
		t.Errorf("%v", aside)
	}
}

func TestFailedWriteLeavesTheOldFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	if err := journal.WriteJSON(path, "old", true); err != nil {
		t.Fatal(err)
	}
	if err := journal.WriteJSON(path, func() {}, true); err == nil {
		t.Error("a function was written")
	}
	if err := journal.WriteJSON(filepath.Join(dir, "no", "x"), "new", true); err == nil {
		t.Error("written into nothing")
	}
	var got string
	if err := journal.ReadJSON(path, &got); err != nil || got != "old" {
		t.Errorf("%q, %v", got, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestKilledKeeperIsTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "running.json")
	now := time.Now().Round(0)
	for _, step := range []struct {
		mine   journal.Running
		killed int
	}{
		{journal.Running{PID: 1, Boot: "a", Started: now}, 0},
		{journal.Running{PID: 1, Boot: "a", Started: now}, 0}, // went on by exec
		{journal.Running{PID: 2, Boot: "a", Started: now}, 1},
		{journal.Running{PID: 3, Boot: "b", Started: now}, 0}, // the machine went down
	} {
		killed, err := journal.MarkRunning(path, step.mine)
		if err != nil || killed.PID != step.killed {
			t.Errorf("%+v: %+v, %v", step.mine, killed, err)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	if killed, err := journal.MarkRunning(path, journal.Running{PID: 4, Boot: "b"}); err != nil || killed.PID != 0 {
		t.Errorf("%+v, %v", killed, err)
	}
}
