package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"semper"
	"semper/store"
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

func roundTrip(f *fixture) {
	for name, v := range map[string][]byte{
		"empty": {}, "text": []byte("x"), "binary": {0, 255, 1, '\n'}, "large": bytes.Repeat([]byte("semper "), 100_000), "ключ/ /%00": []byte("odd key"),
	} {
		f.commit(semper.Txn{Then: []semper.Write{{Key: f.key(name), Value: v}}})
		it, err := f.s.Get(f.ctx, f.key(name))
		f.must(err)
		if !bytes.Equal(it.Value, v) {
			f.Errorf("%s came back otherwise (%d bytes of %d)", name, len(it.Value), len(v))
		}
	}
	f.remove("text")
	f.wantValue("text", "(none)")
	f.put("text", "again")
	f.wantValue("text", "again")
}

func versionIsRevision(f *fixture) {
	r1 := f.put("a", "1", "b", "1")
	r2 := f.put("b", "2")
	if r2 <= r1 || r1 < 1 {
		f.Errorf("revisions %d, then %d", r1, r2)
	}
	for name, want := range map[string]int64{"a": r1, "b": r2} {
		it, err := f.s.Get(f.ctx, f.key(name))
		f.must(err)
		if it.Version != want {
			f.Errorf("%s has version %d, was written at %d", name, it.Version, want)
		}
	}
}

func (f *fixture) create(name, value string) error {
	_, err := f.s.Commit(f.ctx, semper.Txn{
		If:   []semper.Condition{{Key: f.key(name)}},
		Then: []semper.Write{{Key: f.key(name), Value: []byte(value)}},
	})
	return err
}

func createOnly(f *fixture) {
	f.must(f.create("r1", "first"))
	f.wantConflict(f.create("r1", "second"))
	f.wantValue("r1", "first")
	f.remove("r1")
	f.must(f.create("r1", "third"))
	f.wantValue("r1", "third")
}

func compareAndSet(f *fixture) {
	v := f.put("pointer", "r1")
	set := func(version int64, to string) error {
		_, err := f.s.Commit(f.ctx, semper.Txn{
			If:   []semper.Condition{{Key: f.key("pointer"), Version: version}},
			Then: []semper.Write{{Key: f.key("pointer"), Value: []byte(to)}},
		})
		return err
	}
	f.must(set(v, "r2"))
	f.wantConflict(set(v, "r3"))
	f.wantConflict(set(v+1_000_000, "r3"))
	f.wantConflict(set(0, "r3"))
	f.wantValue("pointer", "r2")
	// The same value again is a change: who decided on the version before it decided on something else.
	it, err := f.s.Get(f.ctx, f.key("pointer"))
	f.must(err)
	f.must(set(it.Version, "r2"))
	f.wantConflict(set(it.Version, "r3"))
}

func allOrNothing(f *fixture) {
	v := f.put("a", "1", "b", "1")
	txn := semper.Txn{
		If: []semper.Condition{{Key: f.key("a"), Version: v}, {Key: f.key("c"), Version: 0}, {Key: f.key("b"), Version: v}},
		Then: []semper.Write{
			{Key: f.key("a"), Value: []byte("2")}, {Key: f.key("b"), Delete: true}, {Key: f.key("c"), Value: []byte("2")},
		},
	}
	rev := f.commit(txn)
	f.wantValue("a", "2")
	f.wantValue("b", "(none)")
	f.wantValue("c", "2")
	txn.If = []semper.Condition{{Key: f.key("a"), Version: rev}, {Key: f.key("b"), Version: v}}
	txn.Then = []semper.Write{{Key: f.key("a"), Value: []byte("3")}, {Key: f.key("c"), Delete: true}, {Key: f.key("d"), Value: []byte("3")}}
	_, err := f.s.Commit(f.ctx, txn)
	f.wantConflict(err)
	if err != nil && !strings.Contains(err.Error(), f.key("b")) {
		f.Errorf("%q does not name the key whose condition does not hold", err)
	}
	f.wantValue("a", "2")
	f.wantValue("c", "2")
	f.wantValue("d", "(none)")
}

func nothingToDo(f *fixture) {
	v := f.put("a", "1")
	for name, txn := range map[string]semper.Txn{
		"no writes":          {If: []semper.Condition{{Key: f.key("a"), Version: v}}},
		"nothing at all":     {},
		"deletes of nothing": {Then: []semper.Write{{Key: f.key("x"), Delete: true}}},
	} {
		if rev := f.commit(txn); rev < v {
			f.Errorf("%s: revision %d after %d", name, rev, v)
		}
	}
	_, err := f.s.Commit(f.ctx, semper.Txn{If: []semper.Condition{{Key: f.key("a"), Version: v + 1}}})
	f.wantConflict(err)
}

func limits(f *fixture) {
	w := func(n, size int) (t semper.Txn) {
		for i := range n {
			t.Then = append(t.Then, semper.Write{Key: f.key(fmt.Sprint(i)), Value: make([]byte, size)})
		}
		return t
	}
	f.commit(w(store.MaxOps, 1))
	f.commit(w(1, store.MaxBytes-len(f.ns)-1))
	many := w(store.MaxOps/2, 1)
	for i := range store.MaxOps / 2 {
		many.If = append(many.If, semper.Condition{Key: f.key("absent" + fmt.Sprint(i))})
	}
	f.commit(many)
	twice := w(1, 1)
	twice.Then = append(twice.Then, twice.Then[0])
	for name, t := range map[string]semper.Txn{
		"ops": w(store.MaxOps+1, 1), "bytes": w(1, store.MaxBytes), "twice": twice,
		"write without key": {Then: []semper.Write{{}}}, "condition without key": {If: []semper.Condition{{}}},
	} {
		_, err := f.s.Commit(f.ctx, t)
		if semper.CodeOf(err) != semper.Invalid {
			f.Errorf("%s: error is %v, want an Invalid one", name, err)
		}
	}
}

func copies(f *fixture) {
	v := []byte("mine")
	f.commit(semper.Txn{Then: []semper.Write{{Key: f.key("a"), Value: v}}})
	copy(v, "ours")
	it, err := f.s.Get(f.ctx, f.key("a"))
	f.must(err)
	if string(it.Value) != "mine" {
		f.Fatalf("the store kept the caller's memory: %q", it.Value)
	}
	copy(it.Value, "ours")
	f.wantValue("a", "mine")
}

func listOrder(f *fixture) {
	f.put("b", "1", "a/2", "1", "a", "1", "a/1", "1", "a-1", "1", "c/1", "1")
	rev := f.put("a/10", "1")
	for prefix, want := range map[string]string{"": "a a-1 a/1 a/10 a/2 b c/1", "a": "a a-1 a/1 a/10 a/2", "a/": "a/1 a/10 a/2", "a/1": "a/1 a/10", "d": ""} {
		items, at, err := f.s.List(f.ctx, f.key(prefix))
		f.must(err)
		var names []string
		for _, it := range items {
			names = append(names, strings.TrimPrefix(it.Key, f.ns))
		}
		if diff := cmp.Diff(want, strings.Join(names, " ")); diff != "" {
			f.Errorf("List(%q): %s", prefix, diff)
		}
		if at < rev {
			f.Errorf("List is as of %d, the last commit was %d", at, rev)
		}
	}
}

func listLong(f *fixture) {
	const batches, each = 12, 100
	for b := range batches {
		var t semper.Txn
		for i := range each {
			t.Then = append(t.Then, semper.Write{Key: f.key(fmt.Sprintf("%05d", i*batches+b)), Value: []byte(fmt.Sprint(i*batches + b))})
		}
		f.commit(t)
	}
	items, _, err := f.s.List(f.ctx, f.ns)
	f.must(err)
	if len(items) != batches*each {
		f.Fatalf("%d items, want %d", len(items), batches*each)
	}
	for i, it := range items {
		if it.Key != f.key(fmt.Sprintf("%05d", i)) || string(it.Value) != fmt.Sprint(i) || it.Version == 0 {
			f.Fatalf("item %d is %s = %q at %d", i, it.Key, it.Value, it.Version)
		}
	}
}

func listEverything(f *fixture) {
	f.put("mine", "1")
	items, _, err := f.s.List(f.ctx, "")
	f.must(err)
	found := 0
	for _, it := range items {
		if it.Key == f.key("mine") {
			found++
		}
	}
	if found != 1 {
		f.Errorf("List of everything has the key %d times", found)
	}
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
