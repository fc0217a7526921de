package certs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// File is a [Storage] in a directory, for the processes of one machine. The directory is made with the first write, for
// its owner alone.
//
// Locks are flock(2) on files: the kernel drops them with the process that holds them, so none is ever stale, none has to be kept
// fresh, and none can be lost by one that is merely slow. That holds on local file systems; for a directory that
// machines share use [InStore].
type File struct {
	Dir string
}

const (
	lockDir = "locks"
	tmpName = ".tmp-"
)

// path is where key is. Names with a dot in front are ours.
func (f File) path(key string) (string, error) {
	if !fs.ValidPath(key) || key == "." || strings.HasPrefix(key, ".") || strings.Contains(key, "/.") {
		return "", fmt.Errorf("key %q: %w", key, fs.ErrInvalid)
	}
	return filepath.Join(f.Dir, "data", filepath.FromSlash(key)), nil
}

// Load is the value last stored at key.
func (f File) Load(ctx context.Context, key string) ([]byte, error) {
	name, err := f.path(key)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) {
		err = fs.ErrNotExist // keys below it are no value at it
	}
	return b, err
}

// Store writes beside the file and renames.
func (f File) Store(ctx context.Context, key string, value []byte, under ...Lease) error {
	name, err := f.path(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// A lease of ours is lost only by its Release, whose caller is the one who writes here: nothing can come between.
	for _, l := range under {
		if isDone(l) {
			return fmt.Errorf("store %s: %w", key, ErrLeaseLost)
		}
	}
	return writeFile(name, value)
}

func isDone(l Lease) bool {
	select {
	case <-l.Done():
		return true
	default:
		return false
	}
}

// writeFile replaces a file in one step, durably, readable for its owner alone.
func writeFile(name string, value []byte) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, tmpName+"*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(value)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Delete removes the file.
func (f File) Delete(ctx context.Context, key string) error {
	name, err := f.path(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENOTEMPTY) {
		return nil // a directory is not a value
	}
	return err
}

// List walks the directory in which prefix ends.
func (f File) List(ctx context.Context, prefix string) ([]string, error) {
	root := filepath.Join(f.Dir, "data")
	var keys []string
	err := filepath.WalkDir(filepath.Join(root, filepath.FromSlash(path.Dir("/"+prefix+"x"))), func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			return nil // not there, or gone meanwhile
		case err != nil:
			return err
		case d.IsDir() || strings.HasPrefix(d.Name(), "."):
			return ctx.Err()
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if key := filepath.ToSlash(rel); strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		return nil
	})
	slices.Sort(keys)
	return keys, err
}

// flocked is a lock file that is held.
type flocked struct {
	file *os.File
	once sync.Once
	done chan struct{}
}

// Lock asks again and again: flock has no way to wait that can be called off.
func (f File) Lock(ctx context.Context, name string) (Lease, error) {
	file := filepath.Join(f.Dir, lockDir, lockFile(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		l, err := tryLock(file)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// lockFile is a file name for any text.
func lockFile(name string) string {
	escaped := "lock-" + url.PathEscape(name)
	if len(escaped) > 200 {
		return fmt.Sprintf("hash-%x", sha256.Sum256([]byte(name)))
	}
	return escaped
}

// tryLock is nil without an error when somebody else holds the lock.
func tryLock(name string) (Lease, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		// Who released it has removed it first: what we hold is then a lock on nothing.
		ours, err1 := file.Stat()
		now, err2 := os.Stat(name)
		if err1 == nil && err2 == nil && os.SameFile(ours, now) {
			return &flocked{file: file, done: make(chan struct{})}, nil
		}
	}
	file.Close()
	if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return nil, nil //nolint:nilnil // said above
}

func (l *flocked) Done() <-chan struct{} { return l.done }

// Release removes the file while it is locked, so that the directory does not grow.
func (l *flocked) Release(context.Context) error {
	var err error
	l.once.Do(func() {
		close(l.done)
		err = errors.Join(os.Remove(l.file.Name()), l.file.Close())
	})
	return err
}
