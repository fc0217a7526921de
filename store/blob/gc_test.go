package blob_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"semper"
	"semper/store/blob"
)

// aged is a store of five artifacts, in order of digest; all but the last were put an hour ago, and the first is
// the only one that is not unpacked.
func aged(t *testing.T) (*blob.Store, []semper.Digest) {
	t.Helper()
	s := open(t)
	var ds []semper.Digest
	for i := range 5 {
		ds = append(ds, put(t, s, tree(t, map[string]string{"a/b/c": fmt.Sprint(i)})))
	}
	slices.Sort(ds)
	for _, d := range ds[1:] {
		_, err := s.Unpack(t.Context(), d)
		must(t, err)
	}
	for _, d := range ds[:4] {
		age(t, packFile(s, d), time.Hour)
	}
	return s, ds
}

func age(t *testing.T, path string, by time.Duration) {
	t.Helper()
	past := time.Now().Add(-by)
	must(t, os.Chtimes(path, past, past))
}

func TestList(t *testing.T) {
	t.Parallel()
	s, ds := aged(t)
	infos, err := s.List()
	must(t, err)
	if len(infos) != 5 {
		t.Errorf("%d artifacts", len(infos))
	}
	for i, info := range infos {
		old := info.Used.Before(time.Now().Add(-time.Minute))
		if info.Digest != ds[i] || info.Size < 1024 || old != (i < 4) || info.Unpacked != (i > 0) {
			t.Errorf("%d: %+v", i, info)
		}
	}
}

func TestGC(t *testing.T) {
	t.Parallel()
	s, ds := aged(t)
	must(t, os.Remove(packFile(s, ds[3]))) // only its tree is left
	age(t, s.Tree(ds[3]), time.Hour)
	left := filepath.Join(root(s), "tmp", "tree-1") // by a crash
	must(t, os.MkdirAll(filepath.Join(left, "d"), 0o700))
	must(t, os.Chmod(left, 0o500))
	age(t, left, 2*24*time.Hour)
	_, err := s.Unpack(t.Context(), ds[1]) // in use again
	must(t, err)
	keep := map[semper.Digest]bool{ds[0]: true}
	would, bytes1, err := s.GC(keep, time.Now().Add(-time.Minute), true)
	must(t, err)
	if infos, err := s.List(); len(infos) != 4 || err != nil {
		t.Errorf("a dry run left %d of 4, %v", len(infos), err)
	}
	did, bytes2, err := s.GC(keep, time.Now().Add(-time.Minute), false)
	must(t, err)
	if !slices.Equal(would, did) || !slices.Equal(did, ds[2:4]) || bytes1 != bytes2 || bytes1 < 1024 {
		t.Errorf("would remove %v (%d bytes), removed %v (%d bytes), want %v", would, bytes1, did, bytes2, ds[2:4])
	}
	for i, want := range []bool{true, true, false, false, true} {
		has, err := s.Has(ds[i])
		must(t, err)
		_, terr := os.Lstat(s.Tree(ds[i]))
		if has != want || !want && terr == nil {
			t.Errorf("artifact %d: stored %v, tree %v, want %v", i, has, terr, want)
		}
	}
	if names := tmp(t, s); len(names) != 0 {
		t.Errorf("left in tmp: %v", names)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	s, ds := aged(t)
	must(t, s.Remove(ds[4]))
	if has, err := s.Has(ds[4]); has || err != nil {
		t.Errorf("still stored: %v", err)
	}
	if _, err := os.Lstat(s.Tree(ds[4])); err == nil {
		t.Error("the tree is still there")
	}
	must(t, s.Remove(ds[4]))
}
