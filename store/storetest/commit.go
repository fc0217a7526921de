package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"semper"
	"semper/store"
)

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

func concurrentCounter(f *fixture) {
	const workers, each = 6, 20
	f.put("n", "0")
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done := 0; done < each; {
				it, err := f.s.Get(f.ctx, f.key("n"))
				if err != nil {
					f.Errorf("get: %v", err)
					return
				}
				n, _ := strconv.Atoi(string(it.Value))
				_, err = f.s.Commit(f.ctx, semper.Txn{
					If:   []semper.Condition{{Key: it.Key, Version: it.Version}},
					Then: []semper.Write{{Key: it.Key, Value: []byte(strconv.Itoa(n + 1))}},
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, semper.ErrConflict):
					f.Errorf("commit: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	f.wantValue("n", strconv.Itoa(workers*each))
}
