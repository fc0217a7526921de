package ledger

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"semper"
)

func open(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := Open(dir, "edge-1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) //nolint:errcheck // second close
	return l
}

func slotOf(t *testing.T, l *Ledger, app string, n int) *Slot {
	t.Helper()
	s, err := l.Slot(Key{App: app, Release: semper.NameRelease(n)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func readOne(t *testing.T, dir string) File {
	t.Helper()
	files, err := Read(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("read: %d files, %v", len(files), err)
	}
	return files[0]
}

func TestCountsAreOnDiskWhileTheyAreMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	var e Entry
	e.Accept(slotOf(t, l, "bar", 1))
	e.Hold()
	e.Retry()
	e.Retry()
	f := readOne(t, dir)
	k := Key{"bar", "r1"}
	if got, want := f.Counts[k], (semper.Ledger{Accepted: 1, Held: 1, Retried: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := f.Settle()[k], (semper.Ledger{Accepted: 1, Held: 1, Retried: 1, Cut: 1}); got != want {
		t.Errorf("settled %+v, want %+v", got, want)
	}
	if f.EdgeID != "edge-1" || f.PID != os.Getpid() || !f.Alive() {
		t.Errorf("got %s %d alive %t", f.EdgeID, f.PID, f.Alive())
	}
	e.End(Served)
	e.End(Cut)
	if got, want := l.Snapshot().Counts[k], (semper.Ledger{Accepted: 1, Held: 1, Retried: 1, Served: 1}); got != want {
		t.Errorf("after the end: got %+v, want %+v", got, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := l.Snapshot().Counts[k].Served; got != 1 {
		t.Errorf("after close: served %d", got)
	}
}

func TestAMovedRequestIsTheNewReleases(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	old, now := slotOf(t, l, "bar", 1), slotOf(t, l, "bar", 2)
	var e Entry
	e.Accept(old)
	e.Hold()
	e.Accept(now)
	e.End(Served)
	if got := old.Read(); got != (semper.Ledger{}) {
		t.Errorf("old: %+v", got)
	}
	if got, want := now.Read(), (semper.Ledger{Accepted: 1, Held: 1, Served: 1}); got != want {
		t.Errorf("new: got %+v, want %+v", got, want)
	}
}

func TestASecondLedgerOfTheSamePIDTakesNothingAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var e Entry
	l := open(t, dir)
	e.Accept(slotOf(t, l, "bar", 1))
	open(t, dir)
	files, err := Read(dir)
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if n := files[0].Counts[Key{"bar", "r1"}].Accepted + files[1].Counts[Key{"bar", "r1"}].Accepted; n != 1 {
		t.Errorf("accepted %d, want 1", n)
	}
}

func TestMoreReleasesThanASegment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	const n = 3*segmentSlots + 1
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			s, err := l.Slot(Key{"bar", semper.NameRelease(i + 1)})
			if err != nil {
				t.Error(err)
				return
			}
			for range i + 1 {
				var e Entry
				e.Accept(s)
				e.End(Served)
			}
		})
	}
	wg.Wait()
	f := readOne(t, dir)
	for i := range n {
		if got := f.Counts[Key{"bar", semper.NameRelease(i + 1)}]; got.Accepted != uint64(i+1) || got.Served != uint64(i+1) {
			t.Fatalf("r%d: %+v", i+1, got)
		}
	}
}

func TestNamesTooLongCountInMemory(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	s, err := l.Slot(Key{strings.Repeat("a", MaxApp+1), "r1"})
	if semper.CodeOf(err) != semper.Invalid || s == nil {
		t.Fatalf("%v %v", s, err)
	}
	var e Entry
	e.Accept(s)
	if s.Read().Accepted != 1 {
		t.Error("did not count")
	}
}

func TestReadPassesOverWhatIsNoLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, b := range map[string]string{"ledger-a-1.bin": "", "ledger-b-2.bin": strings.Repeat("x", 9000), "table.json": "{}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := Read(dir); err != nil || len(files) != 0 {
		t.Errorf("%v %v", files, err)
	}
	if files, err := Read(filepath.Join(dir, "none")); err != nil || len(files) != 0 {
		t.Errorf("%v %v", files, err)
	}
}

// TestKill9LosesNothing runs this test binary as an edge that counts and is killed in the middle.
func TestKill9LosesNothing(t *testing.T) {
	if dir := os.Getenv("LEDGER_TEST_DIR"); dir != "" {
		l, err := Open(dir, "edge-9")
		if err != nil {
			t.Fatal(err)
		}
		s := slotOf(t, l, "bar", 7)
		for i := range 1000 {
			var e Entry
			e.Accept(s)
			if i%10 != 0 {
				e.End(Served)
			}
		}
		fmt.Println("counted")
		select {}
	}
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill9LosesNothing$")
	cmd.Env = append(os.Environ(), "LEDGER_TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	if f := readOne(t, dir); !f.Alive() {
		t.Error("the living edge is not alive")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Fatal(err)
	}
	f := readOne(t, dir)
	if f.Alive() || f.EdgeID != "edge-9" || f.PID != cmd.Process.Pid {
		t.Errorf("got %s %d alive %t", f.EdgeID, f.PID, f.Alive())
	}
	if got, want := f.Settle()[Key{"bar", "r7"}], (semper.Ledger{Accepted: 1000, Served: 900, Cut: 100}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestInvariant checks the books against a dumb second count, whatever happens to requests.
func TestInvariant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		l, err := Open(dir, "edge-p")
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(l.Path())
		defer l.Close() //nolint:errcheck // a test's
		var slots []*Slot
		for i := range 3 {
			s, err := l.Slot(Key{"bar", semper.NameRelease(i + 1)})
			if err != nil {
				t.Fatal(err)
			}
			slots = append(slots, s)
		}
		entries := make([]Entry, 5)
		where, open := make([]int, 5), make([]bool, 5)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, 4).Draw(t, "request")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				s := rapid.IntRange(0, 2).Draw(t, "release")
				if !entries[i].ended {
					where[i], open[i] = s, true
				}
				entries[i].Accept(slots[s])
			case 1:
				entries[i].Hold()
			case 2:
				entries[i].Retry()
			case 3:
				entries[i].End(End(rapid.IntRange(0, 5).Draw(t, "end")))
				open[i] = false
			case 4:
				if !open[i] {
					entries[i] = Entry{}
				}
			}
			want := [3]uint64{}
			for j := range entries {
				if open[j] {
					want[where[j]]++
				}
			}
			for j, s := range slots {
				if got := InFlight(s.Read()); got != want[j] {
					t.Fatalf("r%d: %d in flight by the books, %d by hand", j+1, got, want[j])
				}
			}
		}
	})
}
