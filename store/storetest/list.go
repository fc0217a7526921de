package storetest

import (
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"

	"semper"
)

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
