package accesslog

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestTo changes the target and the format again and again while requests are logged: each line is in one of them, once.
func TestTo(t *testing.T) {
	t.Parallel()
	const total, targets = 20_000, 50
	var first bytes.Buffer
	l := open(t, Options{Writer: &first})
	shared, dir := l.Shared(), t.TempDir()
	var producers sync.WaitGroup
	for p := range 4 {
		producers.Go(func() {
			for n := range total / 4 {
				for e := numbered(p*total/4+n, 10); !shared.Write(e); { // full: that is another test's
				}
			}
		})
	}
	var paths []string
	for i := range targets {
		path := filepath.Join(dir, strconv.Itoa(i))
		target, err := OpenTarget(Options{Path: path, Format: Format(i % 2)})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.To(target); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	producers.Wait()
	shut(t, l)
	seen := map[string]int{}
	take := func(text string, form Format) {
		for line := range strings.Lines(text) {
			if (line[0] == '{') != (form == JSON) {
				t.Errorf("%q is of another format than the target", line)
			}
			at := strings.Index(line, "instance-")
			seen[line[at:at+strings.IndexByte(line[at:], '"')]]++
		}
	}
	take(first.String(), JSON)
	for i, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		take(string(b), Format(i%2))
	}
	if len(seen) != total {
		t.Errorf("%d of %d requests have a line", len(seen), total)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s has %d lines", name, n)
		}
	}
}

func TestATargetThatCannotBeOpenedChangesNothing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := open(t, Options{Writer: &out})
	r := l.Ring()
	if _, err := OpenTarget(Options{Path: filepath.Join(t.TempDir(), "no", "log")}); err == nil {
		t.Error("a directory that is not there was opened")
	}
	r.Write(numbered(1, 1))
	shut(t, l)
	if check(t, strings.TrimSpace(out.String())) != 1 {
		t.Error("the line is not where it was to be")
	}
	left, err := OpenTarget(Options{Writer: &out})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.To(left); !errors.Is(err, errClosed) {
		t.Errorf("a log that is closed took a target: %v", err)
	}
}

// A brittle writer panics once.
type brittle struct {
	bytes.Buffer
	broke bool
}

func (b *brittle) Write(p []byte) (int, error) {
	if !b.broke {
		b.broke = true
		panic("a bug")
	}
	return b.Buffer.Write(p)
}

// TestServeAgain serves a log once more after a panic: what broke is lost, what comes is written.
func TestServeAgain(t *testing.T) {
	t.Parallel()
	out := &brittle{}
	l, err := New(Options{Writer: out, Flush: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := l.Ring()
	r.Write(numbered(1, 1))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it did not panic")
			}
		}()
		t.Error(l.Serve(context.Background()))
	}()
	again := make(chan error)
	go func() { again <- l.Serve(context.Background()) }()
	r.Write(numbered(2, 1))
	shut(t, l)
	if err := <-again; err != nil {
		t.Error(err)
	}
	if check(t, strings.TrimSpace(out.String())) != 2 {
		t.Errorf("%q", out.String())
	}
	if s := l.Stats(); s != (Stats{Written: 1, Lost: 1}) {
		t.Errorf("%+v", s)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Serve(canceled); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
