package blob

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"semper"
)

// Pack writes directory fsys, without what ignore leaves out, to w in canonical form. It gives the
// digest and the length of what it wrote. What cannot be part of an artifact is an Invalid error that names it;
// then what w got is of no use. The directory must not change meanwhile; that a file did is an error.
func Pack(w io.Writer, fsys string, ignore Ignore) (semper.Digest, int64, error) {
	root, err := filepath.EvalSymlinks(fsys)
	if err != nil {
		return "", 0, unreadable(fsys, err)
	}
	entries, err := collect(root, ignore)
	if err != nil {
		return "", 0, err
	}
	for _, e := range entries {
		if e.kind == kindOther {
			return "", 0, refuse(e.name, "is a "+typeWord(e.mode), "an artifact holds files, directories and links: remove it, or list it in "+IgnoreFile)
		}
	}
	return writeCanonical(w, entries)
}

// collect is every entry below root but not root itself.
func collect(root string, ignore Ignore) ([]entry, error) {
	var entries []entry
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return unreadable(path, err)
		}
		if path == root {
			if !d.IsDir() {
				return refuse(path, "is not a directory", "")
			}
			return nil
		}
		name := filepath.ToSlash(path[len(root)+1:])
		if root == "/" {
			name = filepath.ToSlash(path[1:])
		}
		if ignore.Match(name, d.IsDir()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if len(entries) == maxEntries {
			return tooMany()
		}
		e, err := entryOf(path, name, d)
		if err != nil {
			return err
		}
		entries = append(entries, e)
		return nil
	})
	return entries, err
}

func entryOf(path, name string, d fs.DirEntry) (entry, error) {
	fi, err := d.Info()
	if err != nil {
		return entry{}, unreadable(path, err)
	}
	e := entry{name: name, mode: fi.Mode()}
	switch fi.Mode().Type() {
	case 0:
		e.kind, e.exec, e.size = kindFile, fi.Mode()&0o100 != 0, fi.Size()
		e.open = func() (io.ReadCloser, error) { return openRegular(path, fi) }
	case fs.ModeDir:
		e.kind = kindDir
	case fs.ModeSymlink:
		e.kind = kindLink
		if e.target, err = os.Readlink(path); err != nil {
			return entry{}, unreadable(path, err)
		}
	default:
		e.kind = kindOther
	}
	return e, nil
}

// openRegular opens what was seen as a regular file, and nothing that took its place since: neither a link,
// nor a pipe, which would block.
func openRegular(path string, seen fs.FileInfo) (io.ReadCloser, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, unreadable(path, err)
	}
	now, err := f.Stat()
	if err == nil && !os.SameFile(seen, now) {
		err = changed(path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func typeWord(m fs.FileMode) string {
	switch {
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&(fs.ModeDevice|fs.ModeCharDevice) != 0:
		return "device"
	}
	return "special file"
}

func refuse(name, why, hint string) error {
	return &semper.Error{Code: semper.Invalid, Op: "artifact pack", Message: fmt.Sprintf("%s %s", name, why), Hint: hint}
}

func tooMany() error {
	return &semper.Error{Code: semper.Invalid, Op: "artifact pack",
		Message: fmt.Sprintf("more than %d files", maxEntries), Hint: "list what does not belong to it in " + IgnoreFile}
}

func changed(name string) error {
	return refuse(name, "changed while it was being packed", "pack again when nothing writes to it")
}

func unreadable(path string, err error) error {
	e := &semper.Error{Code: semper.Invalid, Op: "artifact pack", Err: err}
	if errors.Is(err, fs.ErrPermission) {
		e.Hint = "make " + path + " readable, or list it in " + IgnoreFile
	}
	return e
}
