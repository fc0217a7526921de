package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"semper"
	"semper/store"
)

// RunBulk tests what a [store.Bulk] adds to a store; as Run.
func RunBulk(t *testing.T, open func(t *testing.T) store.Bulk) {
	t.Helper()
	for name, test := range map[string]func(*fixture, store.Bulk){
		"Scan/Ranges":      scanRanges,
		"Scan/OneRevision": scanOneRevision,
		"Scan/Ends":        scanEnds,
		"Scan/Keys":        scanKeys,
		"Fetch":            fetch,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s := open(t)
			defer func() { f := &fixture{T: t}; f.must(s.Close()) }()
			test(&fixture{T: t, ctx: ctx, s: s, ns: t.Name() + "/"}, s)
		})
	}
}

func (f *fixture) scan(s store.Bulk, ranges ...store.Range) (names string, revision int64) {
	f.Helper()
	var all []string
	for i := range ranges {
		ranges[i].Prefix = f.key(ranges[i].Prefix)
		if ranges[i].After != "" {
			ranges[i].After = f.key(ranges[i].After)
		}
	}
	revision, err := s.Scan(f.ctx, ranges, func(it semper.Item) error {
		if it.Version == 0 || string(it.Value) != strings.TrimPrefix(it.Key, f.ns) {
			f.Errorf("%s = %q at %d", it.Key, it.Value, it.Version)
		}
		all = append(all, string(it.Value))
		return nil
	})
	f.must(err)
	return strings.Join(all, " "), revision
}

func scanRanges(f *fixture, s store.Bulk) {
	rev := f.put("b/1", "b/1", "a/2", "a/2", "a/1", "a/1", "c", "c", "a", "a")
	for _, c := range []struct {
		ranges []store.Range
		want   string
	}{
		{nil, ""},
		{[]store.Range{{Prefix: "a/"}}, "a/1 a/2"},
		{[]store.Range{{Prefix: "b"}, {Prefix: "a"}}, "b/1 a a/1 a/2"},
		{[]store.Range{{Prefix: "a/", After: "a/1"}}, "a/2"},
		{[]store.Range{{Prefix: "a/", After: "a/2"}}, ""},
		{[]store.Range{{Prefix: "a/", After: "a"}}, "a/1 a/2"},
		{[]store.Range{{Prefix: "a/", After: "b"}}, ""},
		{[]store.Range{{Prefix: "none/"}}, ""},
	} {
		got, at := f.scan(s, c.ranges...)
		if got != c.want || len(c.ranges) > 0 && at < rev {
			f.Errorf("%v: %q at %d, want %q", c.ranges, got, at, c.want)
		}
	}
}

// scanOneRevision commits while a scan of more than a page goes on.
func scanOneRevision(f *fixture, s store.Bulk) {
	const n = 1200
	for at := 0; at < n; at += 100 {
		var t semper.Txn
		for i := range 100 {
			t.Then = append(t.Then, semper.Write{Key: f.key(fmt.Sprintf("x/%05d", at+i)), Value: []byte("1")})
		}
		f.commit(t)
	}
	last := f.put("y/1", "1")
	seen := 0
	revision, err := s.Scan(f.ctx, []store.Range{{Prefix: f.key("x/")}, {Prefix: f.key("y/")}}, func(it semper.Item) error {
		if seen++; seen == 1 {
			f.put("x/99999", "late", "y/1", "late", "y/2", "late")
		}
		if string(it.Value) != "1" {
			f.Errorf("%s is of later than the scan", it.Key)
		}
		return nil
	})
	f.must(err)
	if seen != n+1 || revision < last {
		f.Errorf("%d items as of %d, want %d of at least %d", seen, revision, n+1, last)
	}
	w, err := s.Watch(f.ctx, f.key("y/"), revision)
	f.must(err)
	if batch := <-w; len(batch) != 2 { // what the scan did not see
		f.Errorf("a watch from there gives %v", batch)
	}
}

// scanKeys leaves the values out, over more than a page, and gives empty ones as empty where they are asked for.
func scanKeys(f *fixture, s store.Bulk) {
	const n = 600
	version := int64(0)
	for at := 0; at < n; at += 200 {
		var t semper.Txn
		for i := range 200 {
			t.Then = append(t.Then, semper.Write{Key: f.key(fmt.Sprintf("k/%05d", at+i)), Value: []byte("value")})
		}
		version = f.commit(t)
	}
	f.put("l/1", "")
	var last semper.Item
	count := 0
	_, err := s.Scan(f.ctx, []store.Range{{Prefix: f.key("k/"), Keys: true}}, func(it semper.Item) error {
		if it.Value != nil || it.Key <= last.Key {
			f.Errorf("%s = %q after %s", it.Key, it.Value, last.Key)
		}
		last = it
		count++
		return nil
	})
	f.must(err)
	if count != n || last.Version != version {
		f.Errorf("%d keys, the last of version %d; want %d and %d", count, last.Version, n, version)
	}
	_, err = s.Scan(f.ctx, []store.Range{{Prefix: f.key("l/"), Lax: true}}, func(it semper.Item) error {
		if it.Value == nil || len(it.Value) != 0 {
			f.Errorf("an empty value is %#v", it.Value)
		}
		return nil
	})
	f.must(err)
}

func scanEnds(f *fixture, s store.Bulk) {
	f.put("a", "a", "b", "b")
	enough := errors.New("enough")
	n := 0
	if _, err := s.Scan(f.ctx, []store.Range{{Prefix: f.ns}}, func(semper.Item) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
		f.Errorf("%v after %d items", err, n)
	}
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	if _, err := s.Scan(ctx, []store.Range{{Prefix: f.ns}}, func(semper.Item) error { return nil }); !errors.Is(err, context.Canceled) {
		f.Errorf("under an ended context: %v", err)
	}
}

func fetch(f *fixture, s store.Bulk) {
	rev := f.put("a", "1", "b", "2")
	items, err := s.Fetch(f.ctx, f.key("b"), f.key("none"), f.key("a"), f.key("b"))
	f.must(err)
	got := ""
	for _, it := range items {
		got += fmt.Sprintf("%s=%s:%t ", strings.TrimPrefix(it.Key, f.ns), it.Value, it.Version == rev)
	}
	if want := "b=2:true none=:false a=1:true b=2:true "; got != want {
		f.Errorf("got %s, want %s", got, want)
	}
	if items, err := s.Fetch(f.ctx); len(items) != 0 || err != nil {
		f.Errorf("nothing gives %v, %v", items, err)
	}
	if _, err := s.Fetch(f.ctx, make([]string, store.MaxOps+1)...); semper.CodeOf(err) != semper.Invalid {
		f.Errorf("too many keys: %v", err)
	}
}
