package spill

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"semper"
)

// Dir is a directory of bodies. Its methods are safe for concurrent use, also by several processes.
type Dir struct{ path string }

const temporary = "tmp-"

// Open is the directory at path, which is made if it is not there.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, failed("open", err)
	}
	return &Dir{path: path}, nil
}

// Put keeps body for owner, a word of letters, digits and '-', and gives the name it has from now on.
func (d *Dir) Put(owner string, body []byte) (name string, err error) {
	sum := sha256.Sum256(body)
	name = owner + "." + hex.EncodeToString(sum[:])
	f, err := os.CreateTemp(d.path, temporary)
	if err != nil {
		return "", failed("write", err)
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(body); err != nil {
		return "", failed("write", err)
	}
	if err := f.Sync(); err != nil {
		return "", failed("sync", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(d.path, name)); err != nil {
		return "", failed("rename", err)
	}
	return name, d.sync()
}

// sync makes names durable.
func (d *Dir) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return failed("sync", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return failed("sync", err)
	}
	return nil
}

// Get is the body of a name, which is Tampered if it is no longer what was put, NotFound if it is gone.
func (d *Dir) Get(name string) ([]byte, error) {
	_, digest, ok := strings.Cut(name, ".")
	if !ok || filepath.Base(name) != name {
		return nil, &semper.Error{Code: semper.Tampered, Op: "body read", Message: fmt.Sprintf("%q names no body", name)}
	}
	body, err := os.ReadFile(filepath.Join(d.path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &semper.Error{Code: semper.NotFound, Op: "body read", Message: name, Hint: "it was accepted on another machine, or its file was removed", Err: err}
	}
	if err != nil {
		return nil, failed("read", err)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != digest {
		return nil, &semper.Error{Code: semper.Tampered, Op: "body read", Message: name + " does not have its digest", Hint: "the disk or its memory is failing: look at its other files"}
	}
	return body, nil
}

// Remove forgets a name. It may be gone already.
func (d *Dir) Remove(name string) {
	if name != "" && filepath.Base(name) == name {
		os.Remove(filepath.Join(d.path, name))
	}
}

// Sweep removes what is older than age, by the file system's clock, and whose name keep does not want. It gives how many.
func (d *Dir) Sweep(age time.Duration, keep func(name string) bool) (removed int, err error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return 0, failed("sweep", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < age || !strings.HasPrefix(e.Name(), temporary) && keep(e.Name()) {
			continue
		}
		if os.Remove(filepath.Join(d.path, e.Name())) == nil {
			removed++
		}
	}
	return removed, nil
}

func failed(what string, err error) error {
	e := &semper.Error{Code: semper.Internal, Op: "body " + what, Err: err}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		e.Code, e.Hint = semper.NoSpace, "free space on the disk of the data directory"
	}
	return e
}
