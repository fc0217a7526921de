package blob

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"semper"
)

// Remove removes d and its tree. That it is not there is no error. Nothing may run from the tree.
func (s *Store) Remove(d semper.Digest) error {
	if err := valid(d); err != nil {
		return err
	}
	unlock, err := s.lock(context.Background(), d)
	if err != nil {
		return err
	}
	defer unlock()
	// The record first, the bytes last: whatever is left after a crash is found by the next GC.
	return disk("remove", errors.Join(unlink(s.record(d)), s.removeUnpacked(d), unlink(s.pack(d))))
}

// removeUnpacked takes the tree away in one step and only then takes it apart.
func (s *Store) removeUnpacked(d semper.Digest) error {
	tree := s.Tree(d)
	err := os.Chmod(tree, 0o700) // or its owner could not move it
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	grave, err := os.MkdirTemp(filepath.Join(s.dir, "tmp"), "removed-*")
	if err != nil {
		return err
	}
	return errors.Join(os.Rename(tree, filepath.Join(grave, "tree")), removeTree(grave))
}

// removeTree removes path and everything below, read-only directories too.
func removeTree(path string) error {
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(p, 0o700)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(path))
}

func unlink(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// leftover is how old a temporary file has to be to be nobody's: no upload takes longer.
const leftover = 24 * time.Hour

// GC removes every artifact that is not in keep and was neither put nor unpacked since olderThan, with its tree,
// and what crashes left in tmp. With dryRun it removes nothing and tells what it would. bytes is what that
// frees on disk, about. Nothing may run from what is not kept.
func (s *Store) GC(keep map[semper.Digest]bool, olderThan time.Time, dryRun bool) (removed []semper.Digest, bytes int64, err error) {
	used, err := s.used()
	if err != nil {
		return nil, 0, err
	}
	for d, at := range used {
		if !keep[d] && at.Before(olderThan) {
			removed = append(removed, d)
		}
	}
	slices.Sort(removed)
	for i, d := range removed {
		n := sizeOf(s.pack(d)) + sizeOf(s.Tree(d))
		if !dryRun {
			if err := s.Remove(d); err != nil {
				return removed[:i], bytes, err
			}
		}
		bytes += n
	}
	n, err := s.clearTmp(dryRun)
	return removed, bytes + n, err
}

// used is when each artifact was last used, those included of which only a tree or a record is left.
func (s *Store) used() (map[semper.Digest]time.Time, error) {
	used := map[semper.Digest]time.Time{}
	for _, sub := range []string{"records", "trees"} {
		files, err := os.ReadDir(filepath.Join(s.dir, sub))
		if err != nil {
			return nil, disk("gc", err)
		}
		for _, f := range files {
			d := semper.Digest("sha256:" + f.Name())
			if fi, err := f.Info(); err == nil && d.Valid() {
				used[d] = fi.ModTime()
			}
		}
	}
	packs, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, p := range packs {
		used[p.Digest] = p.Used
	}
	return used, nil
}

func (s *Store) clearTmp(dryRun bool) (bytes int64, err error) {
	tmp := filepath.Join(s.dir, "tmp")
	files, err := os.ReadDir(tmp)
	if err != nil {
		return 0, disk("gc", err)
	}
	for _, f := range files {
		fi, err := f.Info()
		if err != nil || time.Since(fi.ModTime()) < leftover || !strings.Contains(f.Name(), "-") {
			continue
		}
		path := filepath.Join(tmp, f.Name())
		bytes += sizeOf(path)
		if dryRun {
			continue
		}
		if err := removeTree(path); err != nil {
			return bytes, disk("gc", err)
		}
	}
	return bytes, nil
}

// sizeOf is the length of the files at and below path; what cannot be read counts nothing.
func sizeOf(path string) (total int64) {
	_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // a size for a person
		}
		if fi, err := d.Info(); err == nil {
			total += fi.Size()
		}
		return nil
	})
	return total
}
