package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// fill writes lines until it has turned the file a few times, each numbered.
func fill(t *testing.T, l *Log, r *Ring, who string, n int) {
	t.Helper()
	e := ordinary()
	for i := range n {
		e.ID = []byte(fmt.Sprintf("%s-%d", who, i))
		for !r.Write(e) {
			if err := l.flushed(); err != nil {
				t.Error(err)
				return
			}
		}
		if i%32 == 31 {
			if err := l.flushed(); err != nil {
				t.Error(err)
			}
		}
	}
}

// flushed has everything written; Reopen would open the path anew, and hide what turn does.
func (l *Log) flushed() error {
	before := l.Stats()
	for l.Stats().Written == before.Written && l.Stats().Lost == before.Lost {
		waiting := uint64(0)
		for _, r := range l.all() {
			waiting += r.waiting()
		}
		if waiting == 0 {
			return nil
		}
		l.hurry()
		runtime.Gosched()
	}
	return nil
}

// found are the ids in a file, each line being whole.
func found(t *testing.T, path string, into map[string]int) (size int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var one struct {
			ID string `json:"request_id"`
		}
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%s: %v in %q", path, err, line)
		}
		into[one.ID]++
	}
	return len(b)
}

func TestTheFileIsBoundedAndTheNewestLinesAreThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	const limit = 16 << 10
	l, err := opened(Options{Path: path, MaxSize: limit, Keep: 2, Records: 64})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, l.Ring(), "a", 1000)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for _, suffix := range []string{"", ".1", ".2"} {
		size := found(t, path+suffix, ids)
		if size > limit+piece || suffix != "" && size < limit {
			t.Errorf("access.log%s has %d bytes", suffix, size)
		}
	}
	if _, err := os.Stat(path + ".3"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("more files than are kept: %v", err)
	}
	if ids["a-999"] != 1 || ids["a-0"] != 0 {
		t.Errorf("the newest line is there %d times, the oldest %d times", ids["a-999"], ids["a-0"])
	}
}

// TestTwoProcessesTurnOneFile has two logs of one path, as while an edge is replaced: no line is lost or torn, though each
// renames the file under the other.
func TestTwoProcessesTurnOneFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	const each, keep = 600, 100
	var all sync.WaitGroup
	for _, who := range []string{"a", "b"} {
		l, err := opened(Options{Path: path, MaxSize: 8 << 10, Keep: keep, Records: 64})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			fill(t, l, l.Ring(), who, each)
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ids := map[string]int{}
	found(t, path, ids)
	for i := range keep {
		found(t, fmt.Sprintf("%s.%d", path, i+1), ids)
	}
	if len(ids) != 2*each {
		t.Errorf("%d lines, want %d", len(ids), 2*each)
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
}

// TestTheLogGoesOnWhereTheFileCannotBeTurned has a directory where the renamed file would be.
func TestTheLogGoesOnWhereTheFileCannotBeTurned(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.MkdirAll(filepath.Join(path+".1", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var failures []error
	l, err := opened(Options{Path: path, MaxSize: 4 << 10, Keep: 1, Records: 64, Failed: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failures = append(failures, err)
	}})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, l.Ring(), "a", 100)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	ids := map[string]int{}
	found(t, path, ids)
	if len(ids) != 100 {
		t.Errorf("%d of 100 lines", len(ids))
	}
	mu.Lock()
	defer mu.Unlock()
	if len(failures) == 0 || failures[0] == nil {
		t.Errorf("nobody was told: %v", failures)
	}
}
