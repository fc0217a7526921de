package certs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"pgregory.net/rapid"

	"semper"
	"semper/store"
	"semper/store/mem"
)

// TestAdapterIsWhatCertmagicHas: whatever is done to it and to certmagic's own storage, both look the same.
func TestAdapterIsWhatCertmagicHas(t *testing.T) {
	t.Parallel()
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		ctx := t.Context()
		ours := newAdapter(File{Dir: fmt.Sprintf("%s/ours%d", dir, n)})
		theirs := &certmagic.FileStorage{Path: fmt.Sprintf("%s/theirs%d", dir, n)}
		// A name is a file's or a directory's, never both: that is all certmagic asks for.
		files := []string{"a/x", "a/y", "a/b/x", "a/b/c/x", "c", "d/x"}
		names := append([]string{"a", "a/b", "a/b/c", "d", "e", "e/x", ""}, files...)
		for range rapid.IntRange(1, 15).Draw(rt, "steps") {
			if f := rapid.SampledFrom(names).Draw(rt, "name"); rapid.IntRange(0, 3).Draw(rt, "step") > 0 && slices.Contains(files, f) {
				value := rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(rt, "value")
				if err := errors.Join(ours.Store(ctx, f, value), theirs.Store(ctx, f, value)); err != nil {
					rt.Fatal(err)
				}
			} else if f != "" {
				if err := errors.Join(ours.Delete(ctx, f), theirs.Delete(ctx, f)); err != nil {
					rt.Fatal(err)
				}
			}
		}
		for _, name := range names {
			same(ctx, rt, ours, theirs, name)
		}
	})
}

func same(ctx context.Context, t *rapid.T, ours, theirs certmagic.Storage, name string) {
	if name != "" {
		a, aerr := ours.Load(ctx, name)
		b, berr := theirs.Load(ctx, name)
		if string(a) != string(b) || (aerr == nil) != (berr == nil) {
			t.Fatalf("Load %s: %q, %v and %q, %v", name, a, aerr, b, berr)
		}
		i, err := ours.Stat(ctx, name)
		// A directory that was emptied is there for a file system, and not for us.
		if j, jerr := theirs.Stat(ctx, name); jerr == nil && (j.IsTerminal || err == nil) && (err != nil || i.IsTerminal != j.IsTerminal || i.IsTerminal && i.Size != j.Size) {
			t.Fatalf("Stat %s: %+v, %v and %+v", name, i, err, j)
		} else if ours.Exists(ctx, name) != (err == nil) || jerr != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("Stat %s: %v and %v", name, err, jerr)
		}
	}
	for _, recursive := range []bool{false, true} {
		a, _ := ours.List(ctx, name, recursive)
		b, _ := theirs.List(ctx, name, recursive)
		b = slices.DeleteFunc(b, func(k string) bool { return !ours.Exists(ctx, k) }) // the same directories
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Fatalf("List %q, %t: %q and %q", name, recursive, a, b)
		}
	}
}

// TestScope: what is stored in a piece of work whose lock was lost is refused; other work is not touched by that.
func TestScope(t *testing.T) {
	t.Parallel()
	s := mem.New()
	defer s.Close()
	one, two := newAdapter(InStore(s, "c/", "edge-1")), newAdapter(InStore(s, "c/", "edge-2"))
	work, other := under(t.Context()), under(t.Context())
	if err := errors.Join(one.Lock(work, "issue"), one.Store(work, "k", []byte("1")), one.Lock(other, "other")); err != nil {
		t.Fatal(err)
	}
	// The store gives the lock to another edge.
	if _, err := s.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: store.LeadKey("c/issue"), Delete: true}}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(two.Lock(under(t.Context()), "issue"), two.Store(t.Context(), "k", []byte("2"))); err != nil {
		t.Fatal(err)
	}
	if err := one.Store(work, "k", []byte("late")); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("stored under a lost lock: %v", err)
	}
	if err := errors.Join(one.Store(other, "k2", nil), one.Store(t.Context(), "k3", nil), one.Unlock(other, "other")); err != nil {
		t.Errorf("other work: %v", err)
	}
	if v, err := two.Load(t.Context(), "k"); err != nil || string(v) != "2" {
		t.Errorf("%q, %v", v, err)
	}
	// Ours is over, with no harm to its successor's.
	if err := one.Unlock(work, "issue"); err != nil {
		t.Error(err)
	}
	if err := one.Unlock(work, "issue"); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("unlocked twice: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := one.Lock(short, "issue"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the other's lock is gone: %v", err)
	}
}

// TestLockEndsWithItsHolder, killed without warning.
func TestLockEndsWithItsHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	holder := exec.Command(os.Args[0], "-test.run=^$")
	holder.Env = append(os.Environ(), "CERTS_LOCK_DIR="+dir)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	var said string
	if _, err := fmt.Fscan(out, &said); err != nil || said != "locked" {
		t.Fatalf("%q, %v", said, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (File{Dir: dir}).Lock(short, "name"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it lives: %v", err)
	}
	holder.Process.Kill()
	holder.Wait()
	l, err := (File{Dir: dir}).Lock(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
