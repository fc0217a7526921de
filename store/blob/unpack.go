package blob

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"semper"
)

// The modes of a tree.
const (
	modeFile = 0o444
	modeExec = 0o555
	modeDir  = 0o555
)

// Unpack makes the tree of d and gives its directory. A tree that is there already is verified as by [Store.Verify]
// and used. It returns when the tree is on disk, also after a power loss. Errors: NotFound when d is
// not stored, Tampered when its bytes or the tree there are not d, Invalid when d is no canonical
// artifact, NoSpace; none leaves a tree behind that was not there before.
func (s *Store) Unpack(ctx context.Context, d semper.Digest) (dir string, err error) {
	if err := valid(d); err != nil {
		return "", err
	}
	unlock, err := s.lock(ctx, d)
	if err != nil {
		return "", err
	}
	defer unlock()
	tree := s.Tree(d)
	if _, err := os.Lstat(tree); err == nil {
		return tree, s.reuse(ctx, d)
	}
	tmp, err := os.MkdirTemp(filepath.Join(s.dir, "tmp"), "tree-*")
	if err != nil {
		return "", disk("unpack", err)
	}
	defer func() { err = errors.Join(err, removeTree(tmp)) }() // there only when something went wrong
	if err := s.extract(ctx, d, tmp); err != nil {
		return "", err
	}
	// Its owner can move a directory only while it is writable, hence last.
	err = os.Rename(tmp, tree)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		return tree, s.reuse(ctx, d) // another process was faster
	}
	if err != nil {
		return "", disk("unpack", err)
	}
	if err := os.Chmod(tree, modeDir); err != nil {
		return "", disk("unpack", err)
	}
	s.touch(d)
	return tree, disk("unpack", errors.Join(syncDir(tree), syncDir(filepath.Dir(tree))))
}

func (s *Store) reuse(ctx context.Context, d semper.Digest) error {
	s.touch(d)
	if fast, err := s.unchanged(d); err != nil || fast {
		return err
	}
	// Its maker may have died between the last two steps.
	if err := os.Chmod(s.Tree(d), modeDir); err != nil {
		return disk("unpack", err)
	}
	return s.verifyWhole(ctx, d)
}

// touch says that d is in use, for GC. Not being able to is no reason to fail.
func (s *Store) touch(d semper.Digest) {
	now := time.Now()
	_ = os.Chtimes(s.pack(d), now, now)
}

// extract writes the files of d below dir and syncs them. While it reads the tar it hashes it, and writes the canonical
// form of what it wrote into a second hash; so the stored bytes are d and the files are d, or it is an error.
func (s *Store) extract(ctx context.Context, d semper.Digest, dir string) error {
	f, err := os.Open(s.pack(d))
	if err != nil {
		return missing("unpack", d, err)
	}
	defer func() { _ = f.Close() }()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return disk("unpack", err)
	}
	defer func() { _ = root.Close() }()
	stored := sha256.New()
	r := io.TeeReader(bufio.NewReaderSize(&ctxReader{ctx: ctx, r: f}, 1<<17), stored)
	x := &extraction{root: root, c: newCanonical(io.Discard), dirs: map[string]bool{"": true}}
	err = x.all(tar.NewReader(r))
	if e := disk("unpack", err); ctx.Err() != nil || semper.CodeOf(e) == semper.NoSpace {
		return e
	}
	if _, rerr := io.Copy(io.Discard, r); rerr != nil {
		return disk("unpack", rerr)
	}
	if digest(stored) != d {
		return &semper.Error{Code: semper.Tampered, Op: "artifact unpack",
			Message: fmt.Sprintf("the stored bytes of %s do not have its digest", d.Short()), Hint: "upload it again: semper deploy"}
	}
	if err := x.whole(d, err); err != nil {
		return disk("unpack", err)
	}
	if err := x.seal(); err != nil {
		return disk("unpack", err)
	}
	return disk("unpack", x.sync(dir))
}

// whole is nil when what was written is d. That its bytes are d is known; err is what went wrong with reading them.
func (x *extraction) whole(d semper.Digest, err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return notCanonical(err.Error())
	}
	if err != nil {
		return err
	}
	got, _, err := x.c.end()
	if err == nil && got != d {
		return notCanonical("its bytes are not in canonical form")
	}
	return err
}

func notCanonical(why string) error {
	return &semper.Error{Code: semper.Invalid, Op: "artifact unpack", Message: "not an artifact: " + why,
		Hint: "pack it with semper deploy"}
}

// extraction writes entries below root.
type extraction struct {
	root *os.Root
	c    *canonical
	dirs map[string]bool
	done []entry
	last string
}

func (x *extraction) all(tr *tar.Reader) error {
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return checkLinks(x.done)
		}
		if err != nil {
			return err
		}
		e, err := x.entry(h)
		if err != nil {
			return err
		}
		if err := x.write(e, tr); err != nil {
			return err
		}
		x.last = e.name
		x.done = append(x.done, e)
	}
}

// entry is what h says, refused unless it is what the canonical form would say there.
func (x *extraction) entry(h *tar.Header) (entry, error) {
	e := entry{name: h.Name, size: h.Size, exec: h.Mode&0o100 != 0, target: h.Linkname}
	switch h.Typeflag {
	case tar.TypeReg:
		e.kind = kindFile
	case tar.TypeSymlink:
		e.kind = kindLink
	case tar.TypeDir:
		e.kind, e.name = kindDir, h.Name[:max(0, len(h.Name)-1)]
	default:
		return entry{}, notCanonical(fmt.Sprintf("%q is neither a file, a directory nor a link", h.Name))
	}
	clean, err := cleanName(e.name)
	switch {
	case err != nil || clean != e.name || clean == ".":
		return entry{}, notCanonical(fmt.Sprintf("%q is not a path of one", h.Name))
	case e.name <= x.last:
		return entry{}, notCanonical(fmt.Sprintf("%q is out of order", h.Name))
	case !x.dirs[parent(e.name)]:
		return entry{}, notCanonical(fmt.Sprintf("%q comes before its directory", h.Name))
	case len(x.done) == maxEntries:
		return entry{}, tooMany()
	}
	return e, nil
}

func (x *extraction) write(e entry, r io.Reader) error {
	switch e.kind {
	case kindDir:
		x.dirs[e.name] = true
		if err := x.root.Mkdir(e.name, 0o700); err != nil {
			return err
		}
	case kindLink:
		if err := x.root.Symlink(e.target, e.name); err != nil {
			return err
		}
	case kindFile:
		return x.writeFile(e, r)
	}
	return x.c.add(e, nil)
}

func (x *extraction) writeFile(e entry, r io.Reader) error {
	f, err := x.root.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	mode := fs.FileMode(modeFile)
	if e.exec {
		mode = modeExec
	}
	return errors.Join(x.c.add(e, io.TeeReader(r, f)), f.Chmod(mode), f.Close())
}

// seal takes the right to write from every directory but the top one, the deepest first.
func (x *extraction) seal() error {
	for _, e := range slices.Backward(x.done) {
		if e.kind != kindDir {
			continue
		}
		if err := x.root.Chmod(e.name, modeDir); err != nil {
			return err
		}
	}
	return nil
}

// manyFiles is from where on one sync of the whole file system costs less than one per file.
const manyFiles = 64

func (x *extraction) sync(dir string) error {
	if len(x.done) > manyFiles {
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
	}
	for _, e := range x.done {
		if e.kind == kindLink {
			continue // lies in its directory
		}
		f, err := x.root.Open(e.name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return syncDir(dir)
}
