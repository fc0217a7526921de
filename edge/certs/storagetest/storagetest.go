// Package storagetest is the contract of certs.Storage as a test suite. Every realization runs it.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"semper/edge/certs"
)

// patience bounds every wait, so that a storage that hangs fails instead.
const patience = time.Minute

// Open gives two views of one empty storage, as two edges have them. lose makes a lock end without its holder's doing; it
// is nil where that cannot happen to one that lives.
type Open func(t *testing.T) (a, b certs.Storage, lose func(name string))

// Run tests what open gives.
func Run(t *testing.T, open Open) {
	t.Helper()
	tests := map[string]func(context.Context, *testing.T, certs.Storage, certs.Storage){
		"RoundTrip": roundTrip, "Absent": absent, "List": list, "BadKeys": badKeys, "Whole": whole, "EndedContext": endedContext,
		"Lock/One": lockOne, "Lock/Names": lockNames, "Lock/WaitEnds": lockWaitEnds, "Lock/Outlives": lockOutlives,
		"Lock/Counter": lockCounter, "Lock/Released": lockReleased,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			t.Cleanup(cancel)
			a, b, _ := open(t)
			test(ctx, t, a, b)
		})
	}
	t.Run("Lock/Lost", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		t.Cleanup(cancel)
		a, b, lose := open(t)
		if lose == nil {
			t.Skip("a lock is lost with its holder only")
		}
		lockLost(ctx, t, a, b, lose)
	})
}

func roundTrip(ctx context.Context, t *testing.T, a, b certs.Storage) {
	for _, value := range [][]byte{[]byte("one"), {}, bytes.Repeat([]byte{0, 255}, 5000)} {
		must(t, a.Store(ctx, "x/y-z.crt", value))
		got, err := b.Load(ctx, "x/y-z.crt")
		if err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%d bytes became %d, %v", len(value), len(got), err)
		}
	}
	must(t, b.Delete(ctx, "x/y-z.crt"))
	if _, err := a.Load(ctx, "x/y-z.crt"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Delete: %v", err)
	}
}

func absent(ctx context.Context, t *testing.T, a, _ certs.Storage) {
	must(t, a.Store(ctx, "d/k", nil))
	for _, key := range []string{"no", "no/no", "d", "d/k/below"} {
		if _, err := a.Load(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load %s: %v", key, err)
		}
		must(t, a.Delete(ctx, key))
	}
	if _, err := a.Load(ctx, "d/k"); err != nil {
		t.Errorf("deleted with what is above and below it: %v", err)
	}
}

func list(ctx context.Context, t *testing.T, a, b certs.Storage) {
	for _, k := range []string{"c/b/2", "c/b/1", "c/bb", "c/a", "d"} {
		must(t, a.Store(ctx, k, []byte(k)))
	}
	for prefix, want := range map[string][]string{
		"": {"c/a", "c/b/1", "c/b/2", "c/bb", "d"}, "c/": {"c/a", "c/b/1", "c/b/2", "c/bb"}, "c/b": {"c/b/1", "c/b/2", "c/bb"},
		"c/b/": {"c/b/1", "c/b/2"}, "e": nil, "d/": nil, "c/b/1/": nil,
	} {
		got, err := b.List(ctx, prefix)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("List %q: %q, %v; want %q", prefix, got, err, want)
		}
	}
}

func badKeys(ctx context.Context, t *testing.T, a, _ certs.Storage) {
	for _, key := range []string{"", "..", "../x", "a/../../x", "/x", "a//b", "a/", "."} {
		if err := a.Store(ctx, key, []byte("x")); err == nil {
			t.Errorf("Store %q was taken", key)
		}
		if _, err := a.Load(ctx, key); err == nil {
			t.Errorf("Load %q was taken", key)
		}
		if err := a.Delete(ctx, key); err == nil {
			t.Errorf("Delete %q was taken", key)
		}
	}
}

// whole: who reads while others write gets one of the values written, all of it.
func whole(ctx context.Context, t *testing.T, a, b certs.Storage) {
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 10_000+i) }
	must(t, a.Store(ctx, "k", value(0)))
	var writers sync.WaitGroup
	for w, s := range []certs.Storage{a, b} {
		writers.Go(func() {
			for i := range 20 {
				if err := s.Store(ctx, "k", value(2*i+w)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 50 {
		got, err := b.Load(ctx, "k")
		if err != nil || len(got) == 0 || !bytes.Equal(got, value(int(got[0]))) {
			t.Fatalf("read %d bytes that nobody wrote, %v", len(got), err)
		}
	}
	writers.Wait()
}

func endedContext(ctx context.Context, t *testing.T, a, _ certs.Storage) {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, loadErr := a.Load(ended, "k")
	_, lockErr := a.Lock(ended, "k")
	for what, err := range map[string]error{"Store": a.Store(ended, "k", nil), "Load": loadErr, "Lock": lockErr, "Delete": a.Delete(ended, "k")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	l, err := a.Lock(ctx, "k")
	must(t, err)
	must(t, l.Release(ctx))
}

func lockOne(ctx context.Context, t *testing.T, a, b certs.Storage) {
	first, err := a.Lock(ctx, "name")
	must(t, err)
	order := make(chan string, 2)
	go func() {
		second, err := b.Lock(ctx, "name")
		order <- "second has it"
		if err == nil {
			err = second.Release(ctx)
		}
		if err != nil {
			t.Error(err)
		}
		order <- "done"
	}()
	must(t, a.Store(ctx, "k", []byte("1"), first))
	select {
	case got := <-order:
		t.Fatalf("%s while the first holds it", got)
	case <-first.Done():
		t.Fatal("the first lost it")
	case <-time.After(50 * time.Millisecond): // a chance to be wrong, not a measure
	}
	must(t, first.Release(ctx))
	if got := <-order; got != "second has it" {
		t.Error(got)
	}
	<-order
}

func lockNames(ctx context.Context, t *testing.T, a, b certs.Storage) {
	var leases []certs.Lease
	for i, name := range []string{"a", "A", "a/b", "../a", "a b\x00", "*.example.com", "issue_cert_ü", "", strings.Repeat("ü", 300), strings.Repeat("ü", 301)} {
		l, err := []certs.Storage{a, b}[i%2].Lock(ctx, name)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		leases = append(leases, l)
	}
	for _, l := range leases {
		must(t, l.Release(ctx))
	}
}

func lockWaitEnds(ctx context.Context, t *testing.T, a, b certs.Storage) {
	l, err := a.Lock(ctx, "name")
	must(t, err)
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := b.Lock(short, "name"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waited and got %v", err)
	}
	must(t, a.Store(ctx, "k", nil, l))
	must(t, l.Release(ctx))
}

// lockOutlives the context it was asked for with.
func lockOutlives(ctx context.Context, t *testing.T, a, _ certs.Storage) {
	asked, cancel := context.WithCancel(ctx)
	l, err := a.Lock(asked, "name")
	must(t, err)
	cancel()
	must(t, a.Store(ctx, "k", []byte("x"), l))
	must(t, l.Release(ctx))
}

// lockCounter counts by load and store: not a step may be lost.
func lockCounter(ctx context.Context, t *testing.T, a, b certs.Storage) {
	const each = 15
	var all sync.WaitGroup
	for _, s := range []certs.Storage{a, b, a, b} {
		all.Go(func() {
			for range each {
				if err := increment(ctx, s); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if got, err := a.Load(ctx, "n"); err != nil || string(got) != fmt.Sprint(4*each) {
		t.Errorf("counted to %q, %v; want %d", got, err, 4*each)
	}
}

func increment(ctx context.Context, s certs.Storage) error {
	l, err := s.Lock(ctx, "counter")
	if err != nil {
		return err
	}
	n := 0
	was, err := s.Load(ctx, "n")
	if err == nil {
		_, err = fmt.Sscan(string(was), &n)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = s.Store(ctx, "n", []byte(fmt.Sprint(n+1)), l)
	}
	return errors.Join(err, l.Release(ctx))
}

func lockReleased(ctx context.Context, t *testing.T, a, b certs.Storage) {
	l, err := a.Lock(ctx, "name")
	must(t, err)
	must(t, l.Release(ctx))
	<-l.Done()
	must(t, l.Release(ctx))
	other, err := b.Lock(ctx, "name")
	must(t, err)
	if err := a.Store(ctx, "k", []byte("late"), l); !errors.Is(err, certs.ErrLeaseLost) {
		t.Errorf("a write under a lease that was released: %v", err)
	}
	if _, err := a.Load(ctx, "k"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was written all the same: %v", err)
	}
	must(t, other.Release(ctx))
}

func lockLost(ctx context.Context, t *testing.T, a, b certs.Storage, lose func(name string)) {
	l, err := a.Lock(ctx, "name")
	must(t, err)
	kept, err := a.Lock(ctx, "kept")
	must(t, err)
	lose("name")
	other, err := b.Lock(ctx, "name")
	must(t, err)
	must(t, b.Store(ctx, "k", []byte("new"), other))
	for _, leases := range [][]certs.Lease{{l}, {l, kept}, {kept, l}} {
		if err := a.Store(ctx, "k", []byte("old"), leases...); !errors.Is(err, certs.ErrLeaseLost) {
			t.Errorf("a write under a lost lease: %v", err)
		}
	}
	must(t, a.Store(ctx, "k2", []byte("mine"), kept))
	if got, err := b.Load(ctx, "k"); err != nil || string(got) != "new" {
		t.Errorf("%q, %v", got, err)
	}
	<-l.Done()
	for _, x := range []certs.Lease{l, kept, other} {
		must(t, x.Release(ctx))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
