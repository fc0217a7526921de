package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper"
)

// onDisk is how many bytes of disk the file takes.
func onDisk(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// TestFloodIsBounded lets a process write 1 GB at once and looks at the disk all the while. It runs
// alone: the writer takes one processor, and what the Bounder is up against is the other's load.
func TestFloodIsBounded(t *testing.T) {
	const bound, flood = 64 << 20, 1 << 30
	o := role(t, "flood", fmt.Sprint(flood))
	if err := os.WriteFile(o.Output, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	b := LogBound(o.Output, bound)
	defer b.Close()
	p := start(t, o)
	var seen []int64
	for ended := false; !ended; {
		select {
		case <-p.Done():
			ended = true
		case <-time.After(5 * time.Millisecond):
			seen = append(seen, onDisk(t, o.Output))
		}
	}
	b.Close()
	if p.Reason().Kind != semper.ReasonNormal {
		t.Fatalf("the flood ended by %s", p.Reason())
	}
	slices.Sort(seen)
	usual, most := seen[len(seen)/2], seen[len(seen)-1]
	if usual > bound || most > flood/2 {
		t.Errorf("took %d bytes of disk, %d at its most, bound %d", usual, most, bound)
	}
	if now := onDisk(t, o.Output); now > bound || now < bound/2 {
		t.Errorf("takes %d bytes of disk in the end, bound %d", now, bound)
	}
	t.Logf("%d MB written, %d MB on disk usually, %d MB at most, %d MB now", flood>>20, usual>>20, most>>20, onDisk(t, o.Output)>>20)
	checkTail(t, o.Output, flood/64, bound/2/64, block)
}

// checkTail fails unless the file holds at least the last n of all lines, of which each number of
// them bear the same one.
func checkTail(t *testing.T, path string, all, n, each int) {
	t.Helper()
	n-- // the oldest may be cut in two
	lines, err := Tail(path, n, int64(n+2)*64)
	if err != nil || len(lines) != n {
		t.Fatalf("%d of the last %d lines, %v", len(lines), n, err)
	}
	for i, l := range lines {
		if want := fmt.Sprintf("%063d", (all-n+i)/each); l != want {
			t.Fatalf("line %q, want %q", l, want)
		}
	}
}

func TestBoundWithoutHoles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := &Bounder{path: path, max: 128 << 10, copy: true}
	if !b.open() {
		t.Fatal("not opened")
	}
	defer b.file.Close()
	const lines = 10_000
	for i := range lines {
		if _, err := fmt.Fprintf(f, "%063d\n", i); err != nil {
			t.Fatal(err)
		}
		if i%64 == 0 {
			b.trim()
		}
	}
	b.trim()
	if st, err := f.Stat(); err != nil || st.Size() > b.max {
		t.Errorf("size %d, bound %d, %v", st.Size(), b.max, err)
	}
	checkTail(t, path, lines, int(b.max/2/64), 1)
}

func TestBoundGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	for round := range 4 {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(strings.Repeat(fmt.Sprintf("%062d\n", round), 2000)); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		b := LogBound(path, minBound)
		b.Close()
		b.Close()
		if n := onDisk(t, path); n > minBound {
			t.Errorf("round %d: %d bytes on disk", round, n)
		}
	}
	got, err := Tail(path, 3, 0)
	if want := fmt.Sprintf("%062d", 3); err != nil || len(got) != 3 || got[2] != want {
		t.Errorf("tail %q, %v", got, err)
	}
	LogBound(path, 0).Close()
}

func TestBoundReactsToTruncation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	b := &Bounder{path: path, max: minBound}
	if !b.open() {
		t.Fatal("not opened")
	}
	defer b.file.Close()
	chunk := []byte(strings.Repeat("x", minBound))
	for range 3 {
		if _, err := b.file.Write(chunk); err != nil {
			t.Fatal(err)
		}
		if kept := b.trim(); kept < minBound/2 || kept > minBound {
			t.Fatalf("kept %d", kept)
		}
	}
	if err := b.file.Truncate(100); err != nil {
		t.Fatal(err)
	}
	if kept := b.trim(); kept != 100 {
		t.Errorf("kept %d", kept)
	}
}

func TestPauseFor(t *testing.T) {
	t.Parallel()
	last := maxPause
	for kept := int64(0); kept <= 1<<30; kept += 1 << 22 {
		d := pauseFor(1<<29, kept)
		if d > last || d < minPause {
			t.Fatalf("pause %v with %d kept, %v before", d, kept, last)
		}
		last = d
	}
	if last != minPause {
		t.Errorf("pause %v over the bound", last)
	}
	if d := pauseFor(1<<62, 0); d != maxPause {
		t.Errorf("pause %v for a bound without end", d)
	}
}

func TestBlindFor(t *testing.T) {
	t.Parallel()
	d := minPause
	for range 20 {
		d = blindFor(d, 1<<20, 100)
	}
	if d != blindPause {
		t.Errorf("pause %v when idle", d)
	}
	for _, grown := range []int64{-1, 1 << 18} {
		if got := blindFor(d, 1<<20, grown); got != minPause {
			t.Errorf("pause %v after %d more", got, grown)
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("y", 200_000)
	for name, c := range map[string]struct {
		content string
		lines   int
		bytes   int64
		want    []string
	}{
		"empty":         {"", 5, 0, nil},
		"none wanted":   {"a\nb\n", 0, 0, nil},
		"fewer":         {"a\nb\n", 5, 0, []string{"a", "b"}},
		"more":          {"a\nb\nc\n", 2, 0, []string{"b", "c"}},
		"unended":       {"a\nb", 1, 0, []string{"b"}},
		"blank lines":   {"a\n\n\n", 2, 0, []string{"", ""}},
		"windows":       {"a\r\nb\r\n", 2, 0, []string{"a", "b"}},
		"zeros":         {"\x00\x00\x00lf\nb\n", 5, 0, []string{"b"}},
		"cut":           {"aaaa\nbbbb\ncccc\n", 5, 7, []string{"cccc"}},
		"cut at a line": {"aaaa\nbbbb\ncccc\n", 5, 10, []string{"bbbb", "cccc"}},
		"only a part":   {"aaaaaaaa", 5, 4, []string{"aaaa"}},
		"long":          {"a\n" + long + "\nb\n", 2, 0, []string{long, "b"}},
		"not text":      {"\xff\xfe\n", 1, 0, []string{"\uFFFD"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Tail(path, c.lines, c.bytes)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%.80q, want %.80q (%v)", got, c.want, err)
			}
		})
	}
	if _, err := Tail(filepath.Join(t.TempDir(), "none"), 1, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	say := func(s string) {
		if _, err := f.WriteString(s); err != nil {
			t.Error(err)
		}
	}
	say("one\ntwo\nthr")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []string
	var ends []int64
	for l, err := range Follow(ctx, path, 4) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, l.Text)
		ends = append(ends, l.End)
		switch l.Text {
		case "two":
			say("ee\nfour\r\n")
		case "four":
			say(strings.Repeat("z", maxLine+10) + "\n")
		case strings.Repeat("z", 10):
			if err := f.Truncate(0); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Seek(0, 0); err != nil {
				t.Fatal(err)
			}
			say("again\n")
		case "again":
			cancel()
		}
	}
	want := []string{"two", "three", "four", strings.Repeat("z", maxLine), strings.Repeat("z", 10), "again"}
	if !slices.Equal(got, want) {
		t.Errorf("lines %.300q", got)
	}
	if want := []int64{8, 14, 20, 20 + maxLine, 20 + maxLine + 11, 6}; !slices.Equal(ends, want) {
		t.Errorf("ends %v, want %v", ends, want)
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Error(ctx.Err())
	}
}

func TestFollowSkipsWhatWasGivenUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	var content strings.Builder
	for i := range 4096 {
		fmt.Fprintf(&content, "%063d\n", i)
	}
	if err := os.WriteFile(path, []byte(content.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	LogBound(path, 128<<10).Close()
	next := -1
	for l, err := range Follow(t.Context(), path, 0) {
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if _, err := fmt.Sscanf(l.Text, "%d", &n); err != nil || len(l.Text) != 63 {
			t.Fatalf("line %q, %v", l.Text, err)
		}
		if next >= 0 && n != next {
			t.Fatalf("line %d, want %d", n, next)
		}
		if next = n + 1; next == 4096 {
			break
		}
	}
	for _, err := range Follow(t.Context(), path+".none", 0) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	}
}

func TestFollowFromNow(t *testing.T) {
	t.Parallel()
	o := options(t, "sh", "-c", "read x < pipe; echo new")
	if err := syscall.Mkfifo(filepath.Join(o.Dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Output, []byte("old\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	start(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for l := range Follow(ctx, o.Output, -1) {
			lines <- l.Text
			return
		}
	}()
	// Opening the pipe lets the process go on. Whether Follow has begun by then is open, so offer
	// it lines of our own until it takes one.
	w, err := os.OpenFile(filepath.Join(o.Dir, "pipe"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	f, err := os.OpenFile(o.Output, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		if _, err := f.WriteString("new\n"); err != nil {
			t.Fatal(err)
		}
		select {
		case l := <-lines:
			if l != "new" {
				t.Errorf("line %q", l)
			}
			<-lines
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}
