package mirror_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper/edge/certs"
	"semper/edge/certs/mirror"
	"semper/edge/certs/storagetest"
)

var quiet = slog.New(slog.DiscardHandler)

// TestContract: with its storage at hand a mirror is one.
func TestContract(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) (a, b certs.Storage, lose func(string)) {
		dir := t.TempDir()
		far := certs.File{Dir: filepath.Join(dir, "far")}
		return mirror.Of(far, certs.File{Dir: filepath.Join(dir, "a")}, quiet), mirror.Of(far, certs.File{Dir: filepath.Join(dir, "b")}, quiet), nil
	})
}

// A remote is a storage that can be away: then a call fails, or with hangs waits for its context.
type remote struct {
	certs.File
	away, hangs atomic.Bool
	asked       atomic.Int64
}

var errAway = errors.New("the store is away")

func (r *remote) answer(ctx context.Context) error {
	r.asked.Add(1)
	if r.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if r.away.Load() {
		return errAway
	}
	return nil
}

func (r *remote) Load(ctx context.Context, key string) ([]byte, error) {
	if err := r.answer(ctx); err != nil {
		return nil, err
	}
	return r.File.Load(ctx, key)
}

func (r *remote) Store(ctx context.Context, key string, value []byte, under ...certs.Lease) error {
	if err := r.answer(ctx); err != nil {
		return err
	}
	return r.File.Store(ctx, key, value, under...)
}

func (r *remote) Lock(ctx context.Context, name string) (certs.Lease, error) {
	if err := r.answer(ctx); err != nil {
		return nil, err
	}
	return r.File.Lock(ctx, name)
}

func world(t *testing.T) (*remote, certs.Storage) {
	t.Helper()
	dir := t.TempDir()
	far := &remote{File: certs.File{Dir: filepath.Join(dir, "far")}}
	return far, mirror.Of(far, certs.File{Dir: filepath.Join(dir, "near")}, quiet)
}

func TestTheCopyServesWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		far, m := world(t)
		if err := far.File.Store(ctx, "read", []byte("r1")); err != nil {
			t.Fatal(err)
		}
		if err := far.File.Store(ctx, "never", []byte("n")); err != nil {
			t.Fatal(err)
		}
		if err := m.Store(ctx, "written", []byte("w")); err != nil {
			t.Fatal(err)
		}
		if v, err := m.Load(ctx, "read"); string(v) != "r1" || err != nil {
			t.Fatalf("%q, %v", v, err)
		}
		far.away.Store(true)
		for key, want := range map[string]string{"read": "r1", "written": "w"} {
			if v, err := m.Load(ctx, key); string(v) != want || err != nil {
				t.Errorf("%s while the store is away: %q, %v", key, v, err)
			}
		}
		// That there is no copy does not say that there is nothing: a certificate would be ordered again.
		if _, err := m.Load(ctx, "never"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what was never seen: %v", err)
		}
		if err := m.Store(ctx, "read", []byte("r2")); !errors.Is(err, errAway) {
			t.Errorf("a write without the store: %v", err)
		}
		if _, err := m.Lock(ctx, "x"); err == nil {
			t.Error("a lock without the store")
		}
		if v, err := m.Load(ctx, "read"); string(v) != "r1" || err != nil {
			t.Errorf("a write that failed left %q, %v", v, err)
		}
		far.away.Store(false)
		time.Sleep(6 * time.Second)
		if err := far.File.Store(ctx, "read", []byte("r3")); err != nil {
			t.Fatal(err)
		}
		if v, err := m.Load(ctx, "read"); string(v) != "r3" || err != nil {
			t.Errorf("the store is back, and says %q, %v", v, err)
		}
		if _, err := m.Load(ctx, "none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what is not there: %v", err)
		}
	})
}

// TestASilentStoreIsWaitedForOnce: an edge that begins without its store asks for many keys.
func TestASilentStoreIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		far, m := world(t)
		if err := m.Store(t.Context(), "a", []byte("1")); err != nil {
			t.Fatal(err)
		}
		far.hangs.Store(true)
		asked, began := far.asked.Load(), time.Now()
		for range 100 {
			if v, err := m.Load(t.Context(), "a"); string(v) != "1" || err != nil {
				t.Fatalf("%q, %v", v, err)
			}
		}
		if d, n := time.Since(began), far.asked.Load()-asked; d > 2*time.Second || n != 1 {
			t.Errorf("it was asked %d times, which took %s", n, d)
		}
	})
}

// TestWhoGivesUpSaysNothingOfTheStore: a caller's own end is not the store's.
func TestWhoGivesUpSaysNothingOfTheStore(t *testing.T) {
	t.Parallel()
	far, m := world(t)
	if err := m.Store(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	far.hangs.Store(true)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Load(ended, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	far.hangs.Store(false)
	asked := far.asked.Load()
	if _, err := m.Load(t.Context(), "a"); err != nil || far.asked.Load() == asked {
		t.Errorf("the store is not asked again: %v", err)
	}
}
