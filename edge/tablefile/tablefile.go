// Package tablefile keeps an edge's last route table on disk, so that an edge serves by it before anybody has told it
// anything, and says which tables are none.
//
// A table is there whole, with the digest of its exact bytes, or not at all. A file that cannot be believed is moved
// aside, to be looked at.
package tablefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"semper"
	"semper/edge/message"
)

const (
	Name   = "table.json"
	format = 1
)

// savedTable is the file: the table with the digest of its exact bytes.
type savedTable struct {
	Format int             `json:"format"`
	Digest semper.Digest   `json:"digest"`
	Table  json.RawMessage `json:"table"`
}

// encode is the content of the file for t.
func encode(t semper.Table) ([]byte, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	return json.Marshal(savedTable{Format: format, Digest: semper.DigestOf(b), Table: b})
}

// decode reads what encode wrote, and nothing else.
func decode(b []byte) (semper.Table, error) {
	var s savedTable
	var t semper.Table
	if err := json.Unmarshal(b, &s); err != nil {
		return t, err
	}
	if s.Format != format {
		return t, fmt.Errorf("format %d, where this edge reads %d", s.Format, format)
	}
	if got := semper.DigestOf(s.Table); got != s.Digest {
		return t, &semper.Error{Code: semper.Tampered, Message: fmt.Sprintf("table has digest %s, not %s", got.Short(), s.Digest.Short())}
	}
	d := json.NewDecoder(bytes.NewReader(s.Table))
	if err := d.Decode(&t); err != nil {
		return t, err
	}
	return t, Validate(t)
}

// Load reads the last table of dir, which it makes. A file that cannot be believed is moved aside, so that it is
// there to be looked at and the edge serves by the next table it is given.
func Load(dir string, log *slog.Logger) (semper.Table, error) {
	if dir == "" {
		return semper.Table{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return semper.Table{}, err
	}
	path := filepath.Join(dir, Name)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return semper.Table{}, nil
	}
	if err != nil {
		return semper.Table{}, fmt.Errorf("read the last route table: %w", err)
	}
	t, err := decode(b)
	if err == nil {
		return t, nil
	}
	aside := path + ".broken"
	for n := 2; ; n++ {
		if _, e := os.Lstat(aside); errors.Is(e, os.ErrNotExist) {
			break
		}
		aside = path + ".broken." + strconv.Itoa(n)
	}
	log.Error("the last route table is broken: moved aside, no route until the next table", "path", path, "moved", aside, "error", err)
	if err := os.Rename(path, aside); err != nil {
		return semper.Table{}, fmt.Errorf("move a broken route table aside: %w", err)
	}
	return semper.Table{}, nil
}

// Save puts t on disk so that it survives a power cut, or leaves the one before. While an edge is
// replaced two of them keep their tables here; the older table never takes the place of the newer.
func Save(dir string, t semper.Table) (err error) {
	if dir == "" {
		return nil
	}
	defer func() {
		if err != nil {
			err = &semper.Error{Code: codeOfDisk(err), Op: "keep the route table", Err: err,
				Hint: "the edge goes on with the table before; check space and permissions of " + dir}
		}
	}()
	lock, err := os.OpenFile(filepath.Join(dir, "table.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // nothing is written to it; closing unlocks
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	path := filepath.Join(dir, Name)
	if b, err := os.ReadFile(path); err == nil {
		if there, err := decode(b); err == nil && there.Epoch >= t.Epoch {
			return nil
		}
	}
	b, err := encode(t)
	if err != nil {
		return err
	}
	if err := writeSynced(path+".tmp", b); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func codeOfDisk(err error) semper.Code {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return semper.NoSpace
	}
	return semper.Internal
}

// Validate refuses a table by which requests could go astray.
func Validate(t semper.Table) error {
	bad := func(format string, a ...any) error {
		return &semper.Error{Code: semper.Invalid, Op: fmt.Sprintf("route table %d", t.Epoch), Message: fmt.Sprintf(format, a...)}
	}
	if t.Epoch < 1 {
		return bad("epochs count from 1")
	}
	pools := make(map[semper.PoolKey]bool, len(t.Pools))
	for _, p := range t.Pools {
		if p.Key == "" || p.App == "" {
			return bad("a pool needs a key and an app")
		}
		if pools[p.Key] {
			return bad("pool %s stands in it twice", p.Key)
		}
		pools[p.Key] = true
		seen := make(map[semper.InstanceID]bool, len(p.Backend))
		for _, b := range p.Backend {
			if b.ID == "" || seen[b.ID] {
				return bad("pool %s: instance %q without a name, or twice", p.Key, b.ID)
			}
			seen[b.ID] = true
			if err := ValidAddress(b.Address); err != nil {
				return bad("instance %s: %v", b.ID, err)
			}
		}
	}
	type place struct{ host, path string }
	routes := make(map[place]bool, len(t.Routes))
	for _, r := range t.Routes {
		at := place{message.CanonicalHost(r.Host), r.Path}
		switch {
		case !strings.HasPrefix(r.Path, "/"):
			return bad("route path %q does not begin with /", r.Path)
		case !pools[r.Pool]:
			return bad("route %s%s leads to pool %q, which it does not have", r.Host, r.Path, r.Pool)
		case routes[at]:
			return bad("route %s%s stands in it twice", r.Host, r.Path)
		}
		routes[at] = true
	}
	for _, r := range t.Rules {
		switch {
		case !strings.HasPrefix(r.Path, "/"):
			return bad("route path %q does not begin with /", r.Path)
		case r.Pool == "" && r.Answer == nil:
			return bad("route %s%s leads nowhere", r.Host, r.Path)
		case r.Pool != "" && !pools[r.Pool]:
			return bad("route %s%s leads to pool %q, which it does not have", r.Host, r.Path, r.Pool)
		}
	}
	return nil
}

// ValidAddress refuses an address that nobody can connect to.
func ValidAddress(a string) error {
	if path, ok := strings.CutPrefix(a, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("address %q: a socket needs an absolute path", a)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(a)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("address %q has no port", a)
	}
	return nil
}
