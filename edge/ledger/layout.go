package ledger

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"semper"
)

// The file: one header of headerSize, then segments of segmentSlots slots. All words are in the
// machine's byte order; a ledger is read on the machine that wrote it.
const (
	magic        = "semprlg1"
	headerSize   = 4096
	slotSize     = 256
	segmentSlots = 64
	segmentSize  = slotSize * segmentSlots

	// MaxApp and MaxRelease bound the names a slot can hold, in bytes.
	MaxApp     = 128
	MaxRelease = 24
	maxEdgeID  = 256
)

// counters is the order of the words in a slot.
type counters struct {
	served, appErrors, edgeErrors, shed, cut, gone atomic.Uint64
	retried, held                                  atomic.Uint64
	// accepted is last, so that a reader who copies upwards sees no end without its beginning.
	accepted atomic.Uint64
}

// slot is the mapped form of one entry. used is set after the name is in place.
type slot struct {
	used       atomic.Uint32
	appLen     uint16
	releaseLen uint16
	app        [MaxApp]byte
	release    [MaxRelease]byte
	counters   counters
	_          [slotSize - 8 - MaxApp - MaxRelease - 9*8]byte
}

// The mapping is only right while the struct has exactly the size of a slot.
var _ [slotSize]byte = [unsafe.Sizeof(slot{})]byte{}

func (s *slot) key() Key {
	a, r := min(int(s.appLen), MaxApp), min(int(s.releaseLen), MaxRelease)
	return Key{App: string(s.app[:a]), Release: semper.ReleaseName(s.release[:r])}
}

func (s *slot) name(k Key) {
	s.appLen, s.releaseLen = uint16(copy(s.app[:], k.App)), uint16(copy(s.release[:], k.Release))
	s.used.Store(1)
}

// read is what the counters say now. The ends are read before the beginnings.
func (c *counters) read() semper.Ledger {
	l := semper.Ledger{
		Served: c.served.Load(), AppErrors: c.appErrors.Load(), EdgeErrors: c.edgeErrors.Load(),
		Shed: c.shed.Load(), Cut: c.cut.Load(), Gone: c.gone.Load(),
		Retried: c.retried.Load(), Held: c.held.Load(),
	}
	l.Accepted = c.accepted.Load()
	return l
}

func header(id string, pid int, ticks uint64) []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.NativeEndian.PutUint64(b[8:], uint64(pid))
	binary.NativeEndian.PutUint64(b[16:], ticks)
	n := copy(b[28:28+maxEdgeID], id)
	binary.NativeEndian.PutUint32(b[24:], uint32(n))
	return b
}

// parse reads a whole file. ok is false when b is not a ledger.
func parse(b []byte) (f File, ok bool) {
	if len(b) < headerSize || string(b[:8]) != magic {
		return File{}, false
	}
	n := min(int(binary.NativeEndian.Uint32(b[24:])), maxEdgeID)
	f = File{
		EdgeID:     string(b[28 : 28+n]),
		PID:        int(binary.NativeEndian.Uint64(b[8:])),
		StartTicks: binary.NativeEndian.Uint64(b[16:]),
		Counts:     map[Key]semper.Ledger{},
	}
	for b = b[headerSize:]; len(b) >= slotSize; b = b[slotSize:] {
		s := new(slot)
		copy((*[slotSize]byte)(unsafe.Pointer(s))[:], b)
		if s.used.Load() == 1 {
			f.Counts[s.key()] = f.Counts[s.key()].Add(s.counters.read())
		}
	}
	return f, true
}
