package files

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// Bounds on what is kept and read for tags.
const (
	maxDigested = 4 << 20 // bytes of a file that is read whole for its tag
	maxTags     = 4096    // files; some hundred bytes each
)

// tags keeps the entity tags of files.
type tags struct {
	mu    sync.Mutex // guards what follows; not held while a file is read
	known map[string]tagged
}

// A tagged is a tag with what it was made for.
type tagged struct {
	tag   string
	state state
}

// state changes when the content of a file may have.
type state struct {
	device, inode     uint64
	size              int64
	modified, changed int64 // nanoseconds
}

func stateOf(info fs.FileInfo) state {
	s := state{size: info.Size(), modified: info.ModTime().UnixNano()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode, s.changed = sys.Dev, sys.Ino, sys.Ctim.Nano()
	}
	return s
}

// of is the tag of f, which is open under name and at its begin; it is there again afterwards.
func (t *tags) of(name string, f *os.File, info fs.FileInfo) (string, error) {
	now := stateOf(info)
	t.mu.Lock()
	known, ok := t.known[name]
	t.mu.Unlock()
	if ok && known.state == now {
		return known.tag, nil
	}
	tag := now.tag()
	if now.size <= maxDigested {
		var err error
		if tag, err = digest(f); err != nil {
			return "", err
		}
	}
	t.keep(name, tagged{tag, now})
	return tag, nil
}

// keep puts a tag in, in place of any when there are too many: they are cheap to make again.
func (t *tags) keep(name string, g tagged) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[string]tagged{}
	}
	if _, ok := t.known[name]; !ok && len(t.known) >= maxTags {
		for other := range t.known {
			delete(t.known, other)
			break
		}
	}
	t.known[name] = g
}

// tag is a tag of what is known of a file without reading it.
func (s state) tag() string {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, []int64{int64(s.device), int64(s.inode), s.size, s.modified, s.changed}) // a hash never fails
	return quoted(h.Sum(nil))
}

// digest is a tag of what is in a file.
func digest(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxDigested+1)); err != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return quoted(h.Sum(nil)), nil
}

// quoted is the first 15 bytes, in 20 characters.
func quoted(sum []byte) string {
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
}
