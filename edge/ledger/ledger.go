package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"semper"
	"semper/edge/procid"
)

// Key names a slot: a release of an app.
type Key struct {
	App     string             `json:"app"`
	Release semper.ReleaseName `json:"release"`
}

// A Ledger is the file this process counts in. Its methods are safe for concurrent use.
type Ledger struct {
	path  string
	id    string
	ticks uint64

	mu       sync.Mutex // guards what follows; counting itself takes no lock
	file     *os.File
	segments [][]byte
	free     []*slot // of the newest segment
	slots    map[Key]*Slot
}

// A Slot counts one release of an app. It stays valid until the ledger is closed.
type Slot struct{ c *counters }

// Open makes the ledger of edge id and this process in dir. Where dir is "" it is in memory, and ends with the process.
func Open(dir, id string) (*Ledger, error) {
	if len(id) > maxEdgeID {
		return nil, &semper.Error{Code: semper.Invalid, Op: "open ledger",
			Message: fmt.Sprintf("edge id is longer than %d bytes", maxEdgeID)}
	}
	pid := os.Getpid()
	ticks, _ := procid.StartTicks(pid)
	f, err := create(dir, id, pid)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	l := &Ledger{path: f.Name(), id: id, ticks: ticks, file: f, slots: map[Key]*Slot{}}
	if _, err := f.WriteAt(header(id, pid, ticks), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger: %w", err), f.Close(), remove(f.Name()))
	}
	return l, nil
}

// create makes a file that is nobody else's: in a container an edge may get the same pid again, and
// the counts of the one before it are not to be lost.
func create(dir, id string, pid int) (*os.File, error) {
	if dir == "" {
		fd, err := unix.MemfdCreate("ledger-"+id, unix.MFD_CLOEXEC)
		if err != nil {
			return nil, os.NewSyscallError("memfd_create", err)
		}
		return os.NewFile(uintptr(fd), ""), nil
	}
	name := fmt.Sprintf("ledger-%s-%d", id, pid)
	for n := 1; ; n++ {
		path := filepath.Join(dir, name+".bin")
		if n > 1 {
			path = filepath.Join(dir, fmt.Sprintf("%s.%d.bin", name, n))
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, os.ErrExist) {
			return f, err
		}
	}
}

// remove is for a file that was never whole.
func remove(path string) error {
	if path == "" {
		return nil
	}
	return os.Remove(path)
}

// Path of the file; "" of one in memory.
func (l *Ledger) Path() string { return l.path }

// Slot is the slot of k, made when there is none. The error says that the counts will not outlive
// this process; the slot counts all the same.
func (l *Ledger) Slot(k Key) (*Slot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.slots[k]; s != nil {
		return s, nil
	}
	var err error
	if len(k.App) > MaxApp || len(k.Release) > MaxRelease {
		err = &semper.Error{Code: semper.Invalid, Op: "ledger", Message: fmt.Sprintf("name of %s %s is too long to be kept", k.App, k.Release)}
		l.slots[k] = &Slot{c: new(counters)}
		return l.slots[k], err
	}
	if len(l.free) == 0 {
		if err = l.growLocked(); err != nil {
			l.slots[k] = &Slot{c: new(counters)}
			return l.slots[k], fmt.Errorf("ledger %s: %w", l.path, err)
		}
	}
	m := l.free[0]
	l.free = l.free[1:]
	m.name(k)
	l.slots[k] = &Slot{c: &m.counters}
	return l.slots[k], nil
}

// growLocked adds a segment at the end of the file.
func (l *Ledger) growLocked() error {
	if l.file == nil {
		return os.ErrClosed
	}
	at := int64(headerSize + len(l.segments)*segmentSize)
	if err := allocate(l.file, at, segmentSize); err != nil {
		return err
	}
	// A mapping begins on a page: headerSize and segmentSize are whole pages of 4 KiB, and where pages
	// are larger the map starts below.
	page := int64(os.Getpagesize())
	low := at / page * page
	b, err := unix.Mmap(int(l.file.Fd()), low, int(at-low)+segmentSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	l.segments = append(l.segments, b)
	b = b[at-low:]
	for i := range segmentSlots {
		l.free = append(l.free, (*slot)(unsafe.Pointer(&b[i*slotSize])))
	}
	return nil
}

// allocate gives the range blocks on disk, so that no store into the mapping can fail.
func allocate(f *os.File, at, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, at, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		_, err = f.WriteAt(make([]byte, size), at)
	}
	return err
}

// Snapshot is what this process has counted so far, in the form it has on disk.
func (l *Ledger) Snapshot() File {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := File{Path: l.path, EdgeID: l.id, PID: os.Getpid(), StartTicks: l.ticks, Counts: make(map[Key]semper.Ledger, len(l.slots))}
	for k, s := range l.slots {
		f.Counts[k] = s.Read()
	}
	return f
}

// Read is what the slot says now.
func (s *Slot) Read() semper.Ledger { return s.c.read() }

// Close gives the file back; it stays in place to be read. No slot may be used after it.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	// The slots stay readable after the close: their last counts move to memory.
	for k, s := range l.slots {
		last := new(counters)
		last.set(s.c.read())
		l.slots[k] = &Slot{c: last}
	}
	var errs []error
	for _, b := range l.segments {
		errs = append(errs, unix.Munmap(b))
	}
	errs = append(errs, l.file.Close())
	l.file, l.segments, l.free = nil, nil, nil
	return errors.Join(errs...)
}

func (c *counters) set(l semper.Ledger) {
	c.accepted.Store(l.Accepted)
	c.served.Store(l.Served)
	c.appErrors.Store(l.AppErrors)
	c.edgeErrors.Store(l.EdgeErrors)
	c.shed.Store(l.Shed)
	c.cut.Store(l.Cut)
	c.gone.Store(l.Gone)
	c.retried.Store(l.Retried)
	c.held.Store(l.Held)
}
