package accesslog

import (
	"context"
	"errors"
	"io"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"semper"
)

const (
	defaultFlush   = 200 * time.Millisecond
	defaultRecords = 4096
	defaultKeep    = 3
	leastRecords   = 64
	bytesPerRecord = 256
)

// Format is the form of a line.
type Format uint8

// The formats.
const (
	// JSON is an object per line; what a request does not have is left out. Times are in UTC, durations in seconds.
	JSON Format = iota
	// Combined is what Apache and nginx call so, followed by name=value: rt and urt (seconds, in all and at instances),
	// app, release, arm, pool, route, instance, trace, cause. A tool that reads the combined format reads it.
	Combined
)

// Options of a [Log]: either Path or Writer, and the rest may be zero.
type Options struct {
	Path   string    // a file that is appended to, made with mode 0640 if it is not there
	Writer io.Writer // belongs to the log until Close; is not closed by it

	// MaxSize is how large the file at Path gets, in bytes and by about what is written at once: then it is renamed to Path.1,
	// what was that to Path.2, and so on, and Path begun anew. Processes that write to one path agree on who does it. 0 leaves
	// that to others: see [Log.Reopen].
	MaxSize int64
	Keep    int // how many renamed files there are at most; 3 if zero, of use with MaxSize only

	Format    Format
	Rules     []Rule // who is logged; all are if there are none
	OmitQuery bool   // targets are logged without their query, which can have what is nobody's business

	Records int           // of a ring, each with 256 bytes for its strings; 4,096 if zero, else a power of two from 64 up
	Flush   time.Duration // how long a line may wait for others before it is written; 200 ms if zero

	// Failed, if set, is told when writing begins to fail and, with nil, when it works again. Nothing is written meanwhile:
	// it must not wait for the log.
	Failed func(error)
}

// The states of a log.
const (
	awake  uint32 = iota
	asleep        // until it is told of a record
	closed
)

// A Log writes lines for requests. Its methods are safe for concurrent use.
type Log struct {
	rules     rules
	omitQuery bool
	records   int

	state   atomic.Uint32
	hurried atomic.Bool
	_       [cacheLine]byte

	wake   chan struct{} // there is a record after there was none
	urgent chan struct{} // a ring is half full
	stop   chan struct{} // closed by Close
	once   sync.Once

	serving sync.Mutex // held by Serve: one at a time; outermost
	writer  writer     // has a lock of its own
	err     error      // of the end

	mu    sync.Mutex // guards rings; innermost
	rings []*Ring

	written, lost atomic.Uint64
}

// New makes a log. Its lines are written while Serve runs, and by Reopen, To and Close, which end what Serve has begun.
func New(o Options) (*Log, error) {
	t, err := OpenTarget(o)
	if err != nil {
		return nil, err
	}
	return Begin(o, t)
}

// Begin makes a log of a target that is open, and is the log's from now on. Of o, what is for a target is not looked at.
func Begin(o Options, t *Target) (*Log, error) {
	rules, err := compile(o.Rules)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	l := &Log{
		rules: rules, omitQuery: o.OmitQuery, records: powerOfTwo(o.Records),
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	l.writer = writer{log: l, Target: t}
	return l, nil
}

func powerOfTwo(n int) int {
	if n <= 0 {
		return defaultRecords
	}
	return 1 << bits.Len(uint(max(n, leastRecords)-1))
}

// Ring makes a ring for one producer. It lives as long as the log.
func (l *Log) Ring() *Ring {
	r := newRing(l, l.records)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rings = append(l.rings[:len(l.rings):len(l.rings)], r) // readers keep the slice they have
	return r
}

// Shared makes a ring for producers that come and go. It lives as long as the log.
func (l *Log) Shared() *Shared {
	s := &Shared{rings: make([]locked, max(runtime.GOMAXPROCS(0), 1))}
	for i := range s.rings {
		s.rings[i].ring = l.Ring()
	}
	return s
}

// A Shared takes records from many goroutines. Its methods are safe for concurrent use.
type Shared struct {
	next  atomic.Uint32
	rings []locked
}

type locked struct {
	mu   sync.Mutex // held for a copy
	ring *Ring
	_    [cacheLine]byte
}

// Write is [Ring.Write]. When others are copying into all rings it waits for one of them, never for what writes.
func (s *Shared) Write(e *Entry) bool {
	r := s.lock()
	ok := r.ring.Write(e)
	r.mu.Unlock()
	return ok
}

// lock is a ring that is locked.
func (s *Shared) lock() *locked {
	first := s.next.Add(1)
	for i := range uint32(len(s.rings)) {
		if r := &s.rings[(first+i)%uint32(len(s.rings))]; r.mu.TryLock() {
			return r
		}
	}
	r := &s.rings[first%uint32(len(s.rings))]
	r.mu.Lock()
	return r
}

// tell wakes the writer if it sleeps. A producer publishes first and looks then; the writer says that it sleeps first and
// looks at the rings then: one of them sees the other.
func (l *Log) tell() {
	if l.state.Load() == asleep && l.state.CompareAndSwap(asleep, awake) {
		signal(l.wake)
	}
}

// hurry has the writer write now.
func (l *Log) hurry() {
	if !l.hurried.Load() && l.hurried.CompareAndSwap(false, true) {
		signal(l.urgent)
		l.tell()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (l *Log) all() []*Ring {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rings
}

// Stats is what became of the records so far.
type Stats struct {
	Written uint64 // lines that were written whole
	Dropped uint64 // a ring was full, or the log closed
	Lost    uint64 // lines that could not be written
}

// Stats tells what became of the records so far.
func (l *Log) Stats() Stats {
	s := Stats{Written: l.written.Load(), Lost: l.lost.Load()}
	for _, r := range l.all() {
		s.Dropped += r.dropped.Load()
		if l.state.Load() == closed {
			s.Dropped += r.waiting() // by a producer that had not seen the end
		}
	}
	return s
}

// Serve writes lines until ctx ends or the log is closed, and one goroutine at a time does: the next waits. What one has not
// written, be it for the end of its context or for a panic, the next one does.
func (l *Log) Serve(ctx context.Context) error {
	l.serving.Lock()
	defer l.serving.Unlock()
	return l.writer.serve(ctx)
}

// Reopen writes what is logged so far and opens the path anew, for whoever has renamed the file. When that cannot be done
// the log goes on with the file it has, and the error says why. A log with a writer has nothing to open.
func (l *Log) Reopen() error {
	return l.writer.locked(func(w *writer) error {
		if w.log.state.Load() == closed {
			return errClosed
		}
		w.write()
		return w.sink.open()
	})
}

var errClosed = &semper.Error{Code: semper.Invalid, Op: "reopen access log", Message: "it is closed"}

// To writes what is logged so far to where it belongs, and what is logged later to t, which is the log's from now on. The
// error is that of the end of the target before.
func (l *Log) To(t *Target) error {
	return l.writer.locked(func(w *writer) error {
		if w.log.state.Load() == closed {
			return errors.Join(errClosed, t.Close())
		}
		w.write()
		before := w.Target
		w.Target = t
		return before.Close()
	})
}

// Close writes what is logged so far and ends the log; what is logged later is dropped. It waits for a write that is under
// way. The error is that of the last write or of the file's close.
func (l *Log) Close() error {
	l.once.Do(func() {
		close(l.stop)
		l.serving.Lock() // Serve has returned
		defer l.serving.Unlock()
		l.err = l.writer.locked(func(w *writer) error {
			l.state.Store(closed)
			w.write()
			return w.Target.Close()
		})
	})
	return l.err
}
