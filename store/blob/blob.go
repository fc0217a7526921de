package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"semper"
)

// Store is a directory of artifacts. Its methods are safe for concurrent use, also by several
// processes on the same directory.
type Store struct {
	dir string

	mu    sync.Mutex // guards busy
	busy  map[semper.Digest]*turn
	clock func() time.Time // of the file system's times, for records
}

// turn makes unpacking and full verification of one digest wait for each other within this process,
// so that three instances of one release started at once read it once.
type turn struct {
	token   chan struct{}
	waiting int
}

// Info is what is known of a stored artifact without reading it.
type Info struct {
	Digest   semper.Digest
	Size     int64     // of the tar, bytes
	Used     time.Time // last put or unpacked
	Unpacked bool
}

// Open is the store in dir, which is created when it does not exist.
func Open(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("artifact store: %w", err)
	}
	s := &Store{dir: abs, busy: map[semper.Digest]*turn{}, clock: time.Now}
	// Instances run as other users: they have to get to their tree, and nowhere else.
	for sub, mode := range map[string]fs.FileMode{"": 0o755, "trees": 0o755, "sha256": 0o700, "records": 0o700, "tmp": 0o700} {
		path := filepath.Join(abs, sub)
		if err := os.MkdirAll(path, mode); err != nil {
			return nil, disk("open", err)
		}
		if err := chmodOwn(path, mode); err != nil {
			return nil, disk("open", err)
		}
	}
	return s, nil
}

// chmodOwn undoes what a umask took, where the directory is ours to change.
func chmodOwn(path string, mode fs.FileMode) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if fi.Mode().Perm()&mode == mode {
		return nil
	}
	return os.Chmod(path, fi.Mode().Perm()|mode)
}

func (s *Store) pack(d semper.Digest) string {
	h := d.Hex()
	return filepath.Join(s.dir, "sha256", h[:2], h)
}

func (s *Store) record(d semper.Digest) string { return filepath.Join(s.dir, "records", d.Hex()) }

// Tree is where d is or would be unpacked. It says nothing about whether it is there; it is "" for an
// invalid digest.
func (s *Store) Tree(d semper.Digest) string { return TreeIn(s.dir, d) }

// TreeIn is [Store.Tree] of the store in dir, for who only reads trees and need not open it.
func TreeIn(dir string, d semper.Digest) string {
	if !d.Valid() {
		return ""
	}
	return filepath.Join(dir, "trees", d.Hex())
}

// Has reports whether d is stored.
func (s *Store) Has(d semper.Digest) (bool, error) {
	_, err := s.Size(d)
	if semper.CodeOf(err) == semper.NotFound {
		return false, nil
	}
	return err == nil, err
}

// Size is the length of d's tar in bytes. NotFound when it is not stored.
func (s *Store) Size(d semper.Digest) (int64, error) {
	if err := valid(d); err != nil {
		return 0, err
	}
	fi, err := os.Stat(s.pack(d))
	if err != nil {
		return 0, missing("size", d, err)
	}
	return fi.Size(), nil
}

// Open reads d's tar, and gives its length. NotFound when it is not stored. The bytes are not
// checked: whoever keeps them compares their digest.
func (s *Store) Open(d semper.Digest) (io.ReadCloser, int64, error) {
	if err := valid(d); err != nil {
		return nil, 0, err
	}
	f, err := os.Open(s.pack(d))
	if err != nil {
		return nil, 0, missing("open", d, err)
	}
	fi, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, disk("open", err)
	}
	return f, fi.Size(), nil
}

// Put stores the bytes of r as d. When it returns nil they are on disk, also after a power loss.
// Bytes that do not have the digest are Tampered, a full disk is NoSpace; either leaves nothing behind.
// What was stored as d before is replaced, which mends it if it was damaged.
func (s *Store) Put(ctx context.Context, d semper.Digest, r io.Reader) error {
	if err := valid(d); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "put-*")
	if err != nil {
		return disk("put", err)
	}
	defer func() {
		_ = f.Close()           // a second close, unless something went wrong before the first
		_ = os.Remove(f.Name()) // gone already when it was renamed
	}()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, sum), &ctxReader{ctx: ctx, r: r}); err != nil {
		return disk("put", err)
	}
	if got := digest(sum); got != d {
		return &semper.Error{Code: semper.Tampered, Op: "artifact put",
			Message: fmt.Sprintf("the bytes received are %s, not %s", got.Short(), d.Short()), Hint: "send them again"}
	}
	return disk("put", s.place(f, s.pack(d)))
}

// place makes f durable under path.
func (s *Store) place(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	shelf := filepath.Dir(path)
	if err := os.Mkdir(shelf, 0o700); err == nil {
		if err := syncDir(filepath.Dir(shelf)); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(shelf)
}

// List is every stored artifact, in order of digest.
func (s *Store) List() ([]Info, error) {
	var all []Info
	shelves, err := os.ReadDir(filepath.Join(s.dir, "sha256"))
	if err != nil {
		return nil, disk("list", err)
	}
	for _, shelf := range shelves {
		packs, err := os.ReadDir(filepath.Join(s.dir, "sha256", shelf.Name()))
		if err != nil {
			return nil, disk("list", err)
		}
		for _, p := range packs {
			info, ok := s.info(p)
			if ok {
				all = append(all, info)
			}
		}
	}
	slices.SortFunc(all, func(a, b Info) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return all, nil
}

func (s *Store) info(p fs.DirEntry) (Info, bool) {
	d := semper.Digest("sha256:" + p.Name())
	fi, err := p.Info()
	if err != nil || !d.Valid() || !fi.Mode().IsRegular() {
		return Info{}, false // removed meanwhile, or not ours
	}
	_, err = os.Lstat(s.Tree(d))
	return Info{Digest: d, Size: fi.Size(), Used: fi.ModTime(), Unpacked: err == nil}, true
}

// lock waits for this process's turn at d. The returned function ends it.
func (s *Store) lock(ctx context.Context, d semper.Digest) (unlock func(), err error) {
	s.mu.Lock()
	t := s.busy[d]
	if t == nil {
		t = &turn{token: make(chan struct{}, 1)}
		s.busy[d] = t
	}
	t.waiting++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(s.busy, d)
		}
	}
	select {
	case t.token <- struct{}{}:
		return func() { <-t.token; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// ctxReader ends a copy when its context does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func digest(h hash.Hash) semper.Digest {
	return semper.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func valid(d semper.Digest) error {
	if d.Valid() {
		return nil
	}
	return &semper.Error{Code: semper.Invalid, Op: "artifact", Message: fmt.Sprintf("%q is not a digest", string(d)),
		Hint: `a digest is "sha256:" and 64 hexadecimal digits`}
}

// missing is the NotFound error for d when err says so.
func missing(op string, d semper.Digest, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return disk(op, err)
	}
	return &semper.Error{Code: semper.NotFound, Op: "artifact " + op, Message: d.Short() + " is not stored here",
		Hint: "deploy again: it is uploaded then", Err: fs.ErrNotExist}
}

// disk gives what the file system said its code; errors that have one keep it, nil stays nil.
func disk(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*semper.Error](err); ok {
		return err
	}
	e := &semper.Error{Code: semper.Internal, Op: "artifact " + op, Err: err}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Code, e.Message, e.Hint = semper.NoSpace, "the disk is full", "free space, or remove old releases: semper release gc"
	case errors.Is(err, context.DeadlineExceeded):
		e.Code = semper.Timeout
	case errors.Is(err, context.Canceled):
		return err
	}
	return e
}
