package datadir

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/keeper/journal"
)

// Format is the format this semper writes, and the newest it reads.
const Format = 1

// maxDirPath keeps every socket's path within the 104 bytes that all systems allow.
const maxDirPath = 104 - len("/run/i/abcdefgh/sock") - 1

// A Marker is the content of DIR/semper.json.
type Marker struct {
	Format  int       `json:"format"`
	ID      string    `json:"id"` // random; also the prefix of the marks on processes started from here
	Created time.Time `json:"created"`
	Version string    `json:"version"` // of the semper that created it
}

// Held is a directory this process holds.
type Held struct {
	Dir    Dir
	Marker Marker
	lock   int
}

// Open takes hold of the directory at path, making it if there is none. Nothing in it is touched
// when it is refused. patience is how long a lock whose holder is just dying is waited for.
func Open(path, version string, patience time.Duration) (*Held, error) {
	dir, err := check(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(string(dir), 0o711); err != nil {
		return nil, &semper.Error{Code: semper.Invalid, Op: "open data directory", Err: err, Hint: "choose another with --data"}
	}
	fd, err := unix.Open(dir.LockFile(), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &semper.Error{Code: semper.Invalid, Op: "open data directory", Message: dir.LockFile(), Err: err}
	}
	if err := lock(fd, dir, patience); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	h := &Held{Dir: dir, lock: fd}
	if err := h.prepare(version); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return h, nil
}

// Resume is Open for a keeper that replaced itself: fd is the lock it already holds.
func Resume(path string, fd int, version string) (*Held, error) {
	dir, err := check(path)
	if err != nil {
		return nil, err
	}
	h := &Held{Dir: dir, lock: fd}
	unix.CloseOnExec(fd)
	return h, h.prepare(version)
}

// FD is the descriptor that holds the lock, for the process that goes on with it.
func (h *Held) FD() int { return h.lock }

// Close lets go of the directory.
func (h *Held) Close() error { return unix.Close(h.lock) }

// check refuses what is not semper's, without touching it.
func check(path string) (Dir, error) {
	const op = "open data directory"
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", &semper.Error{Code: semper.Invalid, Op: op, Err: err}
	}
	if len(abs) > maxDirPath {
		return "", &semper.Error{
			Code: semper.Invalid, Op: op, Hint: "choose a shorter path with --data",
			Message: fmt.Sprintf("%s is %d bytes long; sockets in it need a path of at most %d", abs, len(abs), maxDirPath),
		}
	}
	entries, err := os.ReadDir(abs)
	if errors.Is(err, os.ErrNotExist) {
		return Dir(abs), nil
	}
	if err != nil {
		return "", &semper.Error{Code: semper.Invalid, Op: op, Err: err}
	}
	marked := false
	foreign := ""
	for _, e := range entries {
		switch e.Name() {
		case "semper.json":
			marked = true
		case "lock", "lost+found", "queue.yaml": // the last is what people may put there before the first start
		default:
			foreign = e.Name()
		}
	}
	if !marked && foreign != "" {
		return "", &semper.Error{
			Code: semper.Invalid, Op: op, Hint: "choose an empty or a new directory with --data",
			Message: fmt.Sprintf("%s is not empty and not semper's: it has %q but no semper.json; nothing was changed", abs, foreign),
		}
	}
	if marked {
		_, err = readMarker(Dir(abs))
	}
	return Dir(abs), err
}

func readMarker(dir Dir) (Marker, error) {
	var m Marker
	b, err := os.ReadFile(dir.Marker())
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err == nil && (m.Format < 1 || m.ID == "") {
		err = errors.New("format or id is missing")
	}
	if err != nil {
		return m, &semper.Error{Code: semper.Invalid, Op: "open data directory", Message: "unreadable " + dir.Marker(), Err: err,
			Hint: "restore the file from a backup, or choose another directory with --data"}
	}
	if m.Format > Format {
		return m, &semper.Error{
			Code: semper.Invalid, Op: "open data directory", Hint: "run the newer semper, or choose another directory with --data",
			Message: fmt.Sprintf("%s has format %d (made for semper %s); this semper reads up to %d; nothing was changed", dir, m.Format, m.Version, Format),
		}
	}
	return m, nil
}

func lock(fd int, dir Dir, patience time.Duration) error {
	until := time.Now().Add(patience)
	for {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return &semper.Error{Code: semper.Internal, Op: "lock data directory", Message: dir.LockFile(), Err: err}
		}
		if time.Now().After(until) {
			return &semper.Error{
				Code: semper.Conflict, Op: "lock data directory", Message: "another semper" + holder(dir) + " runs on " + string(dir),
				Hint: "stop it with: semper server stop, or choose another directory with --data",
			}
		}
		// A lock has no event to wait on that can also be given up.
		timer := time.NewTimer(10 * time.Millisecond)
		<-timer.C
	}
}

func holder(dir Dir) string {
	b, err := os.ReadFile(dir.LockFile())
	if err != nil || strings.TrimSpace(string(b)) == "" {
		return ""
	}
	return " (pid " + strings.TrimSpace(string(b)) + ")"
}

// prepare makes what is missing. The modes let instances of other users pass through to what is
// theirs, and to nothing else.
func (h *Held) prepare(version string) error {
	if err := h.writePID(); err != nil {
		return err
	}
	m, err := readMarker(h.Dir)
	if err != nil && errors.Is(err, os.ErrNotExist) {
		m = Marker{Format: Format, ID: newID(), Created: time.Now().UTC(), Version: version}
		err = journal.WriteJSON(h.Dir.Marker(), m, true)
	}
	if err != nil {
		return err
	}
	h.Marker = m
	for name, mode := range map[string]os.FileMode{
		"": 0o711, "run": 0o711, "run/i": 0o711, "instances": 0o711, "blobs": 0o711, "bin": 0o711,
		"keeper": 0o700, "keeper/journal": 0o700, "keeper/crashes": 0o700, "keeper/parts": 0o700,
		"store": 0o700, "queue": 0o700, "edge": 0o700, "secrets": 0o700,
	} {
		path := h.Dir.join(name)
		if err := os.MkdirAll(path, mode); err != nil {
			return &semper.Error{Code: semper.Invalid, Op: "prepare data directory", Err: err}
		}
		if err := os.Chmod(path, mode); err != nil {
			return &semper.Error{Code: semper.Invalid, Op: "prepare data directory", Err: err}
		}
	}
	return nil
}

func (h *Held) writePID() error {
	pid := []byte(strconv.Itoa(os.Getpid()) + "\n")
	err := unix.Ftruncate(h.lock, 0)
	if err == nil {
		_, err = unix.Pwrite(h.lock, pid, 0)
	}
	if err != nil {
		return &semper.Error{Code: semper.Internal, Op: "write " + h.Dir.LockFile(), Err: err}
	}
	return nil
}

func newID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
