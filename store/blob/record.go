package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"semper"
)

// grain is more than a file system's clock may lag behind the system's, which is one tick of the kernel.
const grain = 20 * time.Millisecond

// record is how a tree looked to stat at one moment, top first.
type record struct {
	at    int64 // ns, read before the first stat
	seen  []seen
	names []string // of seen, relative; "." is the top
}

// seen is what stat tells of one path that no change leaves as it was.
type seen struct {
	ino          uint64
	size         int64
	mtime, ctime int64 // ns
	mode         uint32
}

func seenOf(st *unix.Stat_t) seen {
	return seen{ino: st.Ino, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), mode: st.Mode}
}

// look stats everything below tree.
func (s *Store) look(tree string) (record, error) {
	rec := record{at: s.clock().UnixNano()}
	err := filepath.WalkDir(tree, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		name := "."
		if path != tree {
			name = path[len(tree)+1:]
		}
		rec.names = append(rec.names, name)
		rec.seen = append(rec.seen, seenOf(&st))
		return nil
	})
	return rec, err
}

// settled reports whether any later change is sure to show: everything is older than the record by
// more than the grain of the clock.
func (r record) settled() bool {
	for _, s := range r.seen {
		if s.ctime > r.at-int64(grain) {
			return false
		}
	}
	return true
}

// unchanged reports whether the tree looks exactly as it did when it was last known to be d. A record that is
// not there or not readable is a no; a tree that is not there is NotFound.
func (s *Store) unchanged(d semper.Digest) (bool, error) {
	top, err := os.Open(s.Tree(d))
	if err != nil {
		return false, missing("verify", d, err)
	}
	defer func() { _ = top.Close() }()
	b, err := os.ReadFile(s.record(d))
	if err != nil {
		return false, nil //nolint:nilerr // no record: look closer
	}
	rec, ok := parseRecord(b)
	if !ok {
		return false, nil
	}
	for i, name := range rec.names {
		var st unix.Stat_t
		err := ignoringEINTR(func() error { return unix.Fstatat(int(top.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) })
		if err != nil || seenOf(&st) != rec.seen[i] {
			return false, nil //nolint:nilerr // changed or gone: look closer
		}
	}
	return len(rec.names) > 0, nil
}

func ignoringEINTR(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

const recordMagic = "semper tree 1\n"

// writeRecord replaces d's record. It need not survive a power loss, only never be half there.
func (s *Store) writeRecord(d semper.Digest, r record) error {
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "record-*")
	if err != nil {
		return err
	}
	_, err = f.Write(r.bytes())
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), s.record(d)); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (r record) bytes() []byte {
	b := []byte(recordMagic)
	b = binary.AppendVarint(b, r.at)
	b = binary.AppendUvarint(b, uint64(len(r.names)))
	for i, name := range r.names {
		s := r.seen[i]
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
		b = binary.AppendUvarint(b, s.ino)
		b = binary.AppendVarint(b, s.size)
		b = binary.AppendVarint(b, s.mtime)
		b = binary.AppendVarint(b, s.ctime)
		b = binary.AppendUvarint(b, uint64(s.mode))
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func parseRecord(b []byte) (record, bool) {
	if len(b) < len(recordMagic)+sha256.Size || string(b[:len(recordMagic)]) != recordMagic {
		return record{}, false
	}
	body, want := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], want) {
		return record{}, false
	}
	p := &numbers{b: body[len(recordMagic):]}
	r := record{at: p.signed()}
	n := p.unsigned()
	if n > maxEntries+1 {
		return record{}, false
	}
	for range n {
		r.names = append(r.names, p.text())
		r.seen = append(r.seen, seen{ino: p.unsigned(), size: p.signed(), mtime: p.signed(), ctime: p.signed(), mode: uint32(p.unsigned())})
		if p.bad {
			return record{}, false
		}
	}
	return r, !p.bad && len(p.b) == 0
}

// numbers reads varints until one is bad; from then on it gives zeros.
type numbers struct {
	b   []byte
	bad bool
}

func (p *numbers) unsigned() uint64 {
	v, n := binary.Uvarint(p.b)
	return v * p.take(n)
}

func (p *numbers) signed() int64 {
	v, n := binary.Varint(p.b)
	return v * int64(p.take(n))
}

func (p *numbers) take(n int) uint64 {
	if n <= 0 || p.bad {
		p.bad = true
		return 0
	}
	p.b = p.b[n:]
	return 1
}

func (p *numbers) text() string {
	n := p.unsigned()
	if n > uint64(len(p.b)) {
		p.bad = true
		return ""
	}
	s := string(p.b[:n])
	p.b = p.b[n:]
	return s
}
