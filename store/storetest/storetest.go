package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"semper"
)

// patience bounds every wait of the suite, so that a store that hangs fails instead.
const patience = time.Minute

// Run tests the store that open gives. What open gives may share its contents with other stores, as clients of
// one server do: every test stays under keys of its own, and closes its store.
func Run(t *testing.T, open func(t *testing.T) semper.Store) {
	t.Helper()
	tests := map[string]func(*fixture){
		"Get/Absent":               getAbsent,
		"Commit/RoundTrip":         roundTrip,
		"Commit/VersionIsRevision": versionIsRevision,
		"Commit/CreateOnly":        createOnly,
		"Commit/CompareAndSet":     compareAndSet,
		"Commit/AllOrNothing":      allOrNothing,
		"Commit/NothingToDo":       nothingToDo,
		"Commit/Limits":            limits,
		"Commit/Copies":            copies,
		"Commit/Concurrent":        concurrentCounter,
		"List/OrderAndPrefix":      listOrder,
		"List/Long":                listLong,
		"List/Everything":          listEverything,
		"Watch/FromThePast":        watchPast,
		"Watch/OneBatchPerCommit":  watchBatches,
		"Watch/Future":             watchFuture,
		"Watch/EndsWithContext":    watchEnds,
		"Watch/SlowReader":         watchSlow,
		"Watch/ContinuesAList":     watchAfterList,
		"Lead/FenceHolds":          leadFence,
		"Lead/One":                 leadOne,
		"Lead/Resign":              leadResign,
		"Lead/EndsWithContext":     leadContext,
		"Lead/Deposed":             leadDeposed,
		"Lead/SameID":              leadSameID,
		"Lead/WaitEnds":            leadWaitEnds,
		"Lead/TakenOver":           leadHandover,
		"Close":                    closed,
		"EndedContext":             endedContext,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			t.Cleanup(cancel)
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test(&fixture{T: t, ctx: ctx, s: s, ns: t.Name() + "/"})
		})
	}
}

// fixture is one test's store and its part of the keys.
type fixture struct {
	*testing.T
	ctx context.Context
	s   semper.Store
	ns  string
}

func (f *fixture) key(name string) string { return f.ns + name }

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) commit(t semper.Txn) int64 {
	f.Helper()
	rev, err := f.s.Commit(f.ctx, t)
	f.must(err)
	return rev
}

func (f *fixture) put(kv ...string) int64 {
	f.Helper()
	var t semper.Txn
	for i := 0; i < len(kv); i += 2 {
		t.Then = append(t.Then, semper.Write{Key: f.key(kv[i]), Value: []byte(kv[i+1])})
	}
	return f.commit(t)
}

func (f *fixture) remove(names ...string) int64 {
	f.Helper()
	var t semper.Txn
	for _, n := range names {
		t.Then = append(t.Then, semper.Write{Key: f.key(n), Delete: true})
	}
	return f.commit(t)
}

// value is what is at name, "(none)" when there is nothing.
func (f *fixture) value(name string) string {
	f.Helper()
	it, err := f.s.Get(f.ctx, f.key(name))
	if errors.Is(err, semper.ErrNotFound) {
		return "(none)"
	}
	f.must(err)
	if it.Key != f.key(name) {
		f.Errorf("Get(%q) gives key %q", f.key(name), it.Key)
	}
	return string(it.Value)
}

func (f *fixture) wantValue(name, want string) {
	f.Helper()
	if got := f.value(name); got != want {
		f.Errorf("%s is %q, want %q", name, got, want)
	}
}

func (f *fixture) wantConflict(err error) {
	f.Helper()
	if !errors.Is(err, semper.ErrConflict) || semper.CodeOf(err) != semper.Conflict {
		f.Errorf("error is %v (code %q), want ErrConflict", err, semper.CodeOf(err))
	}
}

func (f *fixture) wantCode(err error, want semper.Code) {
	f.Helper()
	if got := semper.CodeOf(err); got != want {
		f.Errorf("error %v has code %q, want %q", err, got, want)
	}
}

func (f *fixture) watch(ctx context.Context, after int64) <-chan []semper.Change {
	f.Helper()
	ch, err := f.s.Watch(ctx, f.ns, after)
	f.must(err)
	return ch
}

// next is the next batch in short: "a=1 b=2 -c".
func (f *fixture) next(ch <-chan []semper.Change) (string, int64) {
	f.Helper()
	select {
	case batch, ok := <-ch:
		if !ok {
			f.Fatal("the watch was closed")
		}
		return f.short(batch)
	case <-f.ctx.Done():
		f.Fatal("the watch is silent")
	}
	return "", 0
}

func (f *fixture) short(batch []semper.Change) (string, int64) {
	f.Helper()
	var words []string
	for _, c := range batch {
		name := strings.TrimPrefix(c.Key, f.ns)
		if c.Version != batch[0].Version {
			f.Errorf("a batch of versions %d and %d", batch[0].Version, c.Version)
		}
		if c.Deleted {
			words = append(words, "-"+name)
		} else {
			words = append(words, name+"="+string(c.Value))
		}
	}
	return strings.Join(words, " "), batch[0].Version
}

func (f *fixture) wantNext(ch <-chan []semper.Change, want string, revision int64) {
	f.Helper()
	got, rev := f.next(ch)
	if got != want || rev != revision {
		f.Errorf("the watch gives %q at %d, want %q at %d", got, rev, want, revision)
	}
}

func (f *fixture) wantClosed(ch <-chan []semper.Change) {
	f.Helper()
	for {
		select {
		case _, ok := <-ch:
			if !ok {
				return
			}
		case <-f.ctx.Done():
			f.Fatal("the watch stays open")
		}
	}
}

func getAbsent(f *fixture) {
	_, err := f.s.Get(f.ctx, f.key("nothing"))
	if !errors.Is(err, semper.ErrNotFound) {
		f.Errorf("error is %v, want ErrNotFound", err)
	}
	f.wantCode(err, semper.NotFound)
}

func closed(f *fixture) {
	f.put("a", "1")
	w := f.watch(f.ctx, 0)
	l, err := f.s.Lead(f.ctx, f.ns+"role", "me")
	f.must(err)
	f.must(f.s.Close())
	f.wantClosed(w)
	f.wantDone(l)
	_, err = f.s.Get(f.ctx, f.key("a"))
	f.wantCode(err, semper.Unavailable)
	_, _, err = f.s.List(f.ctx, f.ns)
	f.wantCode(err, semper.Unavailable)
	_, err = f.s.Commit(f.ctx, semper.Txn{})
	f.wantCode(err, semper.Unavailable)
	_, err = f.s.Watch(f.ctx, f.ns, 0)
	f.wantCode(err, semper.Unavailable)
	_, err = f.s.Lead(f.ctx, f.ns+"role", "me")
	f.wantCode(err, semper.Unavailable)
	f.must(f.s.Close())
}

func endedContext(f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err1 := f.s.Get(ctx, f.key("a"))
	_, _, err2 := f.s.List(ctx, f.ns)
	_, err3 := f.s.Commit(ctx, semper.Txn{Then: []semper.Write{{Key: f.key("a"), Value: []byte("1")}}})
	_, err4 := f.s.Watch(ctx, f.ns, 0)
	_, err5 := f.s.Lead(ctx, f.ns+"role", "me")
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, context.Canceled) {
			f.Errorf("call %d: error is %v, want context.Canceled", i+1, err)
		}
	}
	f.wantValue("a", "(none)")
}
