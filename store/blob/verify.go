package blob

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"semper"
)

// Verify is nil when the tree of d still is d. Otherwise the error is Tampered and names the first path that
// differs, is missing or is too much; or NotFound when there is no tree. When nothing was touched
// since the last verification it reads no file: it costs one stat per path.
func (s *Store) Verify(ctx context.Context, d semper.Digest) error {
	if err := valid(d); err != nil {
		return err
	}
	if fast, err := s.unchanged(d); err != nil || fast {
		return err
	}
	unlock, err := s.lock(ctx, d)
	if err != nil {
		return err
	}
	defer unlock()
	// Somebody may have verified it while this one waited.
	if fast, err := s.unchanged(d); err != nil || fast {
		return err
	}
	return s.verifyWhole(ctx, d)
}

// verifyWhole reads and hashes the tree. When it is d it leaves a record, so that the next one is fast.
func (s *Store) verifyWhole(ctx context.Context, d semper.Digest) error {
	tree := s.Tree(d)
	// The record is taken first: what changes from here on changes a time in it. A tree that was made a
	// moment ago is given that moment, so that this reading of all its files is the only one.
	rec, recErr := s.look(tree)
	if recErr == nil && !rec.settled() {
		rest(ctx, grain+time.Millisecond)
		rec, recErr = s.look(tree)
	}
	entries, err := collect(tree, Ignore{})
	if err != nil {
		return disk("verify", err)
	}
	if slices.ContainsFunc(entries, func(e entry) bool { return e.kind == kindOther }) {
		return s.differs(ctx, d, entries)
	}
	got, _, err := writeCanonical(io.Discard, openedUnder(ctx, entries))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || got != d {
		return s.differs(ctx, d, entries)
	}
	if i := slices.IndexFunc(entries, wrongMode); i >= 0 {
		return tampered(d, tree, fmt.Sprintf("%s has mode %v", entries[i].name, entries[i].mode))
	}
	if recErr == nil && rec.settled() {
		// Without a record the next verification is slow, nothing else.
		_ = s.writeRecord(d, rec)
	}
	return nil
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// openedUnder is entries that cannot be opened once ctx has ended.
func openedUnder(ctx context.Context, entries []entry) []entry {
	entries = slices.Clone(entries)
	for i := range entries {
		open := entries[i].open
		entries[i].open = func() (io.ReadCloser, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return open()
		}
	}
	return entries
}

func wrongMode(e entry) bool {
	want := fs.FileMode(modeFile)
	switch {
	case e.kind == kindLink:
		return false
	case e.kind == kindDir:
		want = modeDir | fs.ModeDir
	case e.exec:
		want = modeExec
	}
	return e.mode != want
}

// differs finds out for a person where the tree, which is not d, first differs from it.
func (s *Store) differs(ctx context.Context, d semper.Digest, entries []entry) error {
	tree := s.Tree(d)
	if _, err := os.Lstat(tree); errors.Is(err, fs.ErrNotExist) {
		return missing("verify", d, err)
	}
	f, err := os.Open(s.pack(d))
	if err != nil {
		return tampered(d, tree, "its files are not what was deployed")
	}
	defer func() { _ = f.Close() }()
	what, err := firstDifference(tar.NewReader(&ctxReader{ctx: ctx, r: f}), entries)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		what = "its files are not what was deployed" // the tar is damaged as well
	}
	return tampered(d, tree, what)
}

// firstDifference merges two ordered lists: the tar's and what was found on disk.
func firstDifference(tr *tar.Reader, found []entry) (string, error) {
	slices.SortFunc(found, byName)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			if len(found) > 0 {
				return "extra file " + found[0].name, nil
			}
			return "its files are not what was deployed", nil
		}
		if err != nil {
			return "", err
		}
		name := h.Name
		if h.Typeflag == tar.TypeDir {
			name = name[:len(name)-1]
		}
		switch {
		case len(found) == 0 || found[0].name > name:
			return name + " is missing", nil
		case found[0].name < name:
			return "extra file " + found[0].name, nil
		}
		same, err := equal(h, tr, found[0])
		if err != nil {
			return "", err
		}
		if !same {
			return name + " differs", nil
		}
		found = found[1:]
	}
}

func equal(h *tar.Header, r io.Reader, e entry) (bool, error) {
	want := header(e)
	if want.Typeflag != h.Typeflag || want.Mode != h.Mode || want.Linkname != h.Linkname || want.Size != h.Size {
		return false, nil
	}
	if e.kind != kindFile {
		return true, nil
	}
	f, err := e.open()
	if err != nil {
		return false, nil //nolint:nilerr // what cannot be read is not what was deployed
	}
	defer func() { _ = f.Close() }()
	return sameBytes(r, f)
}

func sameBytes(a, b io.Reader) (bool, error) {
	x, y := make([]byte, 1<<15), make([]byte, 1<<15)
	for {
		n, err := io.ReadFull(a, x)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return false, err
		}
		m, _ := io.ReadFull(b, y)
		if n != m || !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if n < len(x) {
			return true, nil
		}
	}
}

func tampered(d semper.Digest, tree, what string) error {
	return &semper.Error{Code: semper.Tampered, Op: "artifact verify",
		Message: fmt.Sprintf("%s (artifact %s, %s)", what, d.Short(), tree),
		Hint:    "somebody changed a deployed file: find out who, then remove that directory; it is unpacked again from the stored artifact",
	}
}
