package accesslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"semper"
)

// A gate is a writer that lets nothing through until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex // guards b
	b    bytes.Buffer
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(b)
}

func (g *gate) lines() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Split(strings.TrimSuffix(g.b.String(), "\n"), "\n")
}

// opened is a log that is served until it is closed.
func opened(o Options) (*Log, error) {
	l, err := New(o)
	if err == nil {
		go l.Serve(context.Background()) // ends with Close
	}
	return l, err
}

func open(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := opened(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func shut(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// numbered is an entry that carries n in several places, and strings of about size bytes.
func numbered(n, size int) *Entry {
	return &Entry{
		Status: 200, Tries: n % 256, ResponseBytes: int64(n), Method: []byte("GET"), Host: []byte(strconv.Itoa(n)),
		Target: bytes.Repeat([]byte{byte('a' + n%26)}, size), Instance: "instance-" + strconv.Itoa(n),
	}
}

// check reports whether a line is that of numbered(n, size), and n.
func check(t *testing.T, line string) int {
	t.Helper()
	var got struct {
		Host, Target, Instance, Method string
		Tries, Status                  int
		Bytes                          int `json:"response_bytes"`
	}
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	n, err := strconv.Atoi(got.Host)
	if err != nil || got.Bytes != n || got.Tries != n%256 || got.Instance != "instance-"+got.Host || got.Method != "GET" ||
		strings.Trim(got.Target, string(rune('a'+n%26))) != "" || got.Status != 200 {
		t.Fatalf("a mixture: %s", line)
	}
	return n
}

func TestEachRecordIsWrittenOnceWholeAndInOrder(t *testing.T) {
	t.Parallel()
	const total = 20_000
	var out bytes.Buffer
	l := open(t, Options{Writer: &out, Records: leastRecords})
	r := l.Ring()
	rnd := rand.New(rand.NewPCG(1, 2))
	var accepted []int
	for n := range total {
		if r.Write(numbered(n, rnd.IntN(3000))) {
			accepted = append(accepted, n)
		}
	}
	shut(t, l)
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(got) != len(accepted) {
		t.Fatalf("%d lines of %d records", len(got), len(accepted))
	}
	for i, line := range got {
		if n := check(t, line); n != accepted[i] {
			t.Fatalf("line %d is of record %d, not %d", i, n, accepted[i])
		}
	}
	want := Stats{Written: uint64(len(accepted)), Dropped: uint64(total - len(accepted))}
	if s := l.Stats(); s != want {
		t.Errorf("stats %+v, want %+v", s, want)
	}
}

func TestAWriterThatStandsBlocksNobody(t *testing.T) {
	t.Parallel()
	g := newGate()
	l := open(t, Options{Writer: g, Records: 128})
	r := l.Ring()
	var accepted uint64
	for n := range 100_000 {
		if r.Write(numbered(n, 10)) {
			accepted++
		}
	}
	// One ring full, and what the writer may have taken before it stood.
	if accepted < 128 || accepted >= 100_000 {
		t.Errorf("%d accepted", accepted)
	}
	if s := l.Stats(); s.Dropped != 100_000-accepted || s.Written != 0 {
		t.Errorf("%+v with %d accepted", s, accepted)
	}
	close(g.open)
	shut(t, l)
	if got := g.lines(); uint64(len(got)) != accepted || l.Stats().Written != accepted {
		t.Errorf("%d lines of %d accepted", len(got), accepted)
	}
}

func TestGoroutinesShare(t *testing.T) {
	t.Parallel()
	const writers, each = 16, 500
	var out bytes.Buffer
	l := open(t, Options{Writer: &out, Records: 256})
	s := l.Shared()
	var wg sync.WaitGroup
	var mu sync.Mutex
	accepted := map[int]bool{}
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				n := w*each + i
				if s.Write(numbered(n, i%300)) {
					mu.Lock()
					accepted[n] = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	shut(t, l)
	for line := range strings.Lines(out.String()) {
		n := check(t, line)
		if !accepted[n] {
			t.Fatalf("record %d is written twice, or was dropped", n)
		}
		delete(accepted, n)
	}
	if len(accepted) > 0 {
		t.Errorf("%d records are missing", len(accepted))
	}
}

func TestALineWaitsForOthersButNotLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		close(g.open)
		l := open(t, Options{Writer: g, Flush: time.Second, Records: 64})
		r := l.Ring()
		for round := range 3 {
			synctest.Wait()
			r.Write(numbered(round, 1))
			time.Sleep(999 * time.Millisecond)
			synctest.Wait()
			if n := l.Stats().Written; n != uint64(round) {
				t.Fatalf("%d lines before their time", n)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if n := l.Stats().Written; n != uint64(round+1) {
				t.Fatalf("%d lines after %d seconds", n, round+1)
			}
			time.Sleep(time.Hour) // it sleeps
		}
		begun := time.Now()
		for n := range 32 { // half a ring
			r.Write(numbered(n, 1))
		}
		synctest.Wait()
		r.Write(numbered(33, 1))
		synctest.Wait()
		if n := l.Stats().Written; n < 3+32 || !time.Now().Equal(begun) {
			t.Errorf("%d lines with half of the ring in use", n)
		}
		shut(t, l)
	})
}

func TestLongStringsHurryToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		close(g.open)
		l := open(t, Options{Writer: g, Flush: time.Hour, Records: 64})
		r := l.Ring()
		for n := range 1000 { // each a tenth of the ring's bytes
			if !r.Write(numbered(n, 1600)) {
				t.Fatalf("record %d is dropped", n)
			}
			synctest.Wait()
		}
		shut(t, l)
		if len(g.lines()) != 1000 {
			t.Errorf("%d lines", len(g.lines()))
		}
	})
}

func TestRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	l := open(t, Options{Path: path})
	r := l.Ring()
	for n := range 5 {
		r.Write(numbered(n, 1))
		if err := os.Rename(path, fmt.Sprintf("%s.%d", path, n)); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	r.Write(numbered(5, 1))
	shut(t, l)
	for n := range 6 {
		name := fmt.Sprintf("%s.%d", path, n)
		if n == 5 {
			name = path
		}
		b, err := os.ReadFile(name)
		if err != nil || strings.Count(string(b), "\n") != 1 || check(t, string(b)) != n {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if err := l.Reopen(); semper.CodeOf(err) != semper.Invalid {
		t.Errorf("reopen after close: %v", err)
	}
}

func TestReopenThatFailsKeepsTheFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "access.log")
	l := open(t, Options{Path: path})
	r := l.Ring()
	r.Write(numbered(0, 1))
	moved := dir + ".old"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reopen: %v", err)
	}
	r.Write(numbered(1, 1))
	shut(t, l)
	b, err := os.ReadFile(filepath.Join(moved, "access.log"))
	if err != nil || strings.Count(string(b), "\n") != 2 {
		t.Errorf("%q, %v", b, err)
	}
}

// A faulty writer takes a few bytes of each third write, and nothing of the fourth, which begins a new line.
type faulty struct {
	b      bytes.Buffer
	writes int
}

var errFull = errors.New("no space left")

func (f *faulty) Write(b []byte) (int, error) {
	if f.writes++; f.writes%3 == 0 || f.writes == 4 {
		n := min(10, len(b)/2)
		f.b.Write(b[:n])
		return n, errFull
	}
	return f.b.Write(b)
}

func TestATornLineSpoilsNoOther(t *testing.T) {
	t.Parallel()
	var f faulty
	var told []error
	l := open(t, Options{Writer: &f, Failed: func(err error) { told = append(told, err) }})
	r := l.Ring()
	const total = 10
	for n := range total {
		r.Write(numbered(n, 1))
		if err := l.Reopen(); err != nil { // has it written
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole, torn := uint64(0), uint64(0)
	for line := range strings.Lines(f.b.String()) {
		if json.Valid([]byte(line)) {
			check(t, line)
			whole++
		} else {
			torn++
		}
	}
	// One was lost without a trace, when the line break before it failed.
	if s := l.Stats(); s.Written != whole || s.Lost != torn+1 || s.Written+s.Lost != total || torn == 0 {
		t.Errorf("%+v with %d whole lines and %d torn", s, whole, torn)
	}
	for i, err := range told {
		if (i%2 == 0) != errors.Is(err, errFull) {
			t.Errorf("told %v", told)
		}
	}
	if len(told) == 0 || told[len(told)-1] != nil {
		t.Errorf("told %v", told)
	}
}

func TestALogThatCannotWriteSaysSo(t *testing.T) {
	t.Parallel()
	l := open(t, Options{Writer: writerFunc(func([]byte) (int, error) { return 0, errFull })})
	r := l.Ring()
	r.Write(numbered(1, 1))
	if err := l.Close(); !errors.Is(err, errFull) {
		t.Errorf("close: %v", err)
	}
	if s := l.Stats(); s != (Stats{Lost: 1}) {
		t.Errorf("%+v", s)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestAfterTheEndRecordsAreDropped(t *testing.T) {
	t.Parallel()
	l := open(t, Options{Writer: io.Discard})
	r := l.Ring()
	shut(t, l)
	shut(t, l) // twice is once
	for range 3 {
		if r.Write(numbered(1, 1)) {
			t.Error("a record is on its way in a log that is closed")
		}
	}
	if s := l.Stats(); s != (Stats{Dropped: 3}) {
		t.Errorf("%+v", s)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nan := 0.
	for what, o := range map[string]Options{
		"neither":          {},
		"both":             {Path: dir + "/a", Writer: io.Discard},
		"a share of two":   {Writer: io.Discard, Rules: []Rule{{Share: 2}}},
		"a negative share": {Writer: io.Discard, Rules: []Rule{{Share: -1}}},
		"a share of NaN":   {Writer: io.Discard, Rules: []Rule{{Share: nan / nan}}},
		"no range":         {Writer: io.Discard, Rules: []Rule{{From: 500, To: 400}}},
	} {
		if _, err := opened(o); semper.CodeOf(err) != semper.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := opened(Options{Path: dir}); err == nil {
		t.Error("a directory is opened")
	}
}
