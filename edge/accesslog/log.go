package accesslog

import (
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

	// Failed, if set, is told when writing begins to fail and, with nil, when it works again. It is called on the log's
	// goroutine, which writes nothing meanwhile: it must not wait for the log.
	Failed func(error)
}

// The states of a log's goroutine.
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
	reopen chan chan error
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once
	err    error // of the end; set before done is closed

	mu    sync.Mutex // guards rings
	rings []*Ring

	written, lost atomic.Uint64
}

// Open starts a log. Close ends it.
func Open(o Options) (*Log, error) {
	if (o.Path == "") == (o.Writer == nil) {
		return nil, &semper.Error{Code: semper.Invalid, Op: "open access log", Message: "want either a path or a writer"}
	}
	rules, err := compile(o.Rules)
	if err != nil {
		return nil, err
	}
	if o.Keep <= 0 {
		o.Keep = defaultKeep
	}
	s := &sink{path: o.Path, to: o.Writer, failed: o.Failed, limit: o.MaxSize, keep: o.Keep}
	if o.Path != "" {
		if err := s.open(); err != nil {
			return nil, err
		}
	}
	if o.Flush <= 0 {
		o.Flush = defaultFlush
	}
	l := &Log{
		rules: rules, omitQuery: o.OmitQuery, records: powerOfTwo(o.Records),
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1), reopen: make(chan chan error),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	w := &writer{log: l, sink: s, format: newFormatter(o.Format), flush: o.Flush}
	go w.run()
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

// Write is [Ring.Write]. When others are copying into all rings it waits for one of them, never for the log's goroutine.
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

// tell wakes the goroutine if it sleeps. A producer publishes first and looks then; the goroutine says that it sleeps
// first and looks at the rings then: one of them sees the other.
func (l *Log) tell() {
	if l.state.Load() == asleep && l.state.CompareAndSwap(asleep, awake) {
		signal(l.wake)
	}
}

// hurry has the goroutine write now.
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

// Reopen writes what is logged so far and opens the path anew, for whoever has renamed the file. When that cannot be done
// the log goes on with the file it has, and the error says why. A log with a writer has nothing to open.
func (l *Log) Reopen() error {
	answer := make(chan error, 1)
	select {
	case l.reopen <- answer:
		return <-answer
	case <-l.done:
		return errClosed
	}
}

var errClosed = &semper.Error{Code: semper.Invalid, Op: "reopen access log", Message: "it is closed"}

// Close writes what is logged so far and ends the log; what is logged later is dropped. It waits for the goroutine, and so
// for a write that is under way. The error is that of the last write or of the file's close.
func (l *Log) Close() error {
	l.once.Do(func() { close(l.stop) })
	<-l.done
	return l.err
}
