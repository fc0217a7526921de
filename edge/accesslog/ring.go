package accesslog

import (
	"math/rand/v2"
	"sync/atomic"
)

// A line of the cache, and the one that the processor reads ahead with it.
const cacheLine = 128

// A Ring carries records from one producer to the log's writer. Write is for one goroutine at a time; what belongs to
// which side is kept on cache lines of its own.
type Ring struct {
	log     *Log
	records []record // a power of two of them
	bytes   []byte   // of the strings; a power of two as well, and more than two records can have
	_       [cacheLine]byte

	// The producer's.
	next      uint64 // record
	nextByte  uint64
	seen      uint64 // what it last saw of taken
	seenByte  uint64
	random    uint64
	dropped   atomic.Uint64 // read by others
	published atomic.Uint64 // next, for the consumer
	_         [cacheLine]byte

	// The consumer's. The bytes are given back before the record is.
	takenByte atomic.Uint64
	taken     atomic.Uint64
	_         [cacheLine]byte
}

func newRing(l *Log, records int) *Ring {
	return &Ring{log: l, records: make([]record, records), bytes: make([]byte, records*bytesPerRecord), random: rand.Uint64() | 1}
}

// Write logs e, if the rules keep it. It reports whether the record is on its way: false means that it is left out by a rule,
// or dropped because the ring is full or the log closed, which is counted. It never blocks, and keeps nothing of e.
func (r *Ring) Write(e *Entry) bool {
	share := float32(1)
	if len(r.log.rules) > 0 {
		var keep bool
		if share, keep = r.log.rules.keep(e, r.chance()); !keep {
			return false
		}
	}
	sources := [fields][]byte{e.Method, e.Target, e.Host, e.Referer, e.UserAgent, e.ID}
	if r.log.omitQuery {
		sources[fieldTarget] = withoutQuery(e.Target)
	}
	var lengths [fields]uint16
	size, truncated := 0, uint8(0)
	for i := range lengths {
		n := len(sources[i])
		switch i {
		case fieldInstance:
			n = len(e.Instance)
		case fieldCause:
			n = len(e.Cause)
		}
		if n > bounds[i] {
			n, truncated = bounds[i], flagTruncated
		}
		lengths[i] = uint16(n)
		size += n
	}
	at, ok := r.room(size)
	if !ok {
		r.dropped.Add(1)
		return false
	}
	to := r.bytes[at&uint64(len(r.bytes)-1):][:size]
	for i := range fieldInstance {
		to = to[copy(to, sources[i][:lengths[i]]):]
	}
	to = to[copy(to, e.Instance[:lengths[fieldInstance]]):]
	copy(to, e.Cause[:lengths[fieldCause]])
	one := &r.records[r.next&uint64(len(r.records)-1)]
	one.set(e)
	one.strings, one.lengths, one.share = at, lengths, share
	one.flags |= truncated
	r.next++
	r.nextByte = at + uint64(size)
	r.published.Store(r.next)
	r.log.tell()
	return true
}

// room finds a record and size bytes that lie together. It hurries the consumer when half of either is in use.
func (r *Ring) room(size int) (at uint64, ok bool) {
	records, bytes := uint64(len(r.records)), uint64(len(r.bytes))
	at = r.nextByte
	if rest := bytes - at&(bytes-1); rest < uint64(size) {
		at += rest
	}
	end := at + uint64(size)
	if r.next-r.seen >= records/2 || end-r.seenByte > bytes/2 {
		r.seen = r.taken.Load()
		if r.seen == r.next {
			r.seenByte = r.nextByte // nothing is in use, not even what was left out at the end of the bytes
		} else {
			r.seenByte = r.takenByte.Load()
		}
		if r.next-r.seen >= records/2 || end-r.seenByte > bytes/2 {
			r.log.hurry()
		}
	}
	return at, r.next-r.seen < records && end-r.seenByte <= bytes && r.log.state.Load() != closed
}

// chance is the next of the producer's pseudo-random numbers (xorshift64*).
func (r *Ring) chance() uint64 {
	x := r.random
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	r.random = x
	return x * 0x2545f4914f6cdd1d
}

func withoutQuery(target []byte) []byte {
	for i, c := range target {
		if c == '?' {
			return target[:i]
		}
	}
	return target
}

// each gives the records that are published to do, oldest first, and takes them. It is the consumer's. At the end of a batch
// the producer gets back what was taken.
func (r *Ring) each(do func(rec *record, strings []byte)) {
	const batch = 64
	taken, until := r.taken.Load(), r.published.Load()
	end := r.takenByte.Load()
	give := func() {
		r.takenByte.Store(end)
		r.taken.Store(taken)
	}
	defer give() // a record over which do panics is taken too: nobody stumbles over it again
	for n := 1; taken < until; n++ {
		rec := &r.records[taken&uint64(len(r.records)-1)]
		size := 0
		for _, l := range rec.lengths {
			size += int(l)
		}
		end = rec.strings + uint64(size)
		taken++
		do(rec, r.bytes[rec.strings&uint64(len(r.bytes)-1):][:size])
		if n%batch == 0 {
			give()
		}
	}
}

// waiting is how many records are published and not taken.
func (r *Ring) waiting() uint64 {
	taken := r.taken.Load()
	return r.published.Load() - taken
}
