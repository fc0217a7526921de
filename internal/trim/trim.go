// Package trim gives memory back to the system in idle moments.
//
// A burst of work leaves garbage and free pages behind. Go collects when the heap has doubled, and returns pages in the
// course of minutes: a process that has nothing more to do after its burst keeps both. One that holds many idle
// connections is just that. So it is looked four times a second whether the process does nothing and holds much that it
// does not need; then, and only then, the heap is collected and its free pages are returned. Once a second is enough while
// nothing has piled up: to wake a process costs more than the look.
//
// Whatever comes meanwhile shares the processor with the collection. So none begins before a hundred times what the last
// one took has passed, by which all of them together take a hundredth of a processor at most.
package trim

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"
)

const (
	every  = 250 * time.Millisecond
	seldom = time.Second // while there is nothing to give back
	// busy is the share of a processor from which on a process does something: an idle one has its tickers.
	busy = 0.02
	// calm is how many looks have to find nothing done.
	calm = 2
	// least is how much has to be allocated before it is worth while, which is what Go lets pile up in any case; of a large
	// heap it is this share of what is in use.
	least = 4 << 20
	share = 4
	// rest is how many times as long as a trim took there is none.
	rest = 100
)

// reading is what a look sees.
type reading struct {
	at        time.Time
	cpu       time.Duration // used by the process since it began
	allocated uint64        // bytes, the same
	live      uint64        // bytes that the last collection found in use
}

// trimmer decides.
type trimmer struct {
	last    reading
	trimmed uint64    // what was allocated by the last trim
	quiet   int       // looks in turn that found nothing done
	next    time.Time // not before that
}

// due reports whether now is a moment to trim.
func (t *trimmer) due(r reading) bool {
	past := r.at.Sub(t.last.at)
	idle := past > 0 && float64(r.cpu-t.last.cpu) < busy*float64(past)
	t.last = r
	if t.quiet++; !idle {
		t.quiet = 0
	}
	return t.quiet >= calm && !r.at.Before(t.next) && t.worthwhile()
}

// worthwhile reports whether so much was allocated since the last trim that there may be something to give back.
func (t *trimmer) worthwhile() bool {
	return t.last.allocated-t.trimmed >= max(least, t.last.live/share)
}

// pause is how long until the next look.
func (t *trimmer) pause() time.Duration {
	if t.worthwhile() {
		return every
	}
	return seldom
}

// done says how long a trim took that has ended with r.
func (t *trimmer) done(r reading, took time.Duration) {
	t.last, t.trimmed, t.quiet, t.next = r, r.allocated, 0, r.at.Add(rest*took)
}

// Watch trims in idle moments until ctx ends. trimmed is told of each; it may be nil. One Watch is enough for a process.
func Watch(ctx context.Context, trimmed func()) {
	timer := time.NewTimer(every)
	defer timer.Stop()
	var t trimmer
	l := newLook()
	for ; ; timer.Reset(t.pause()) {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		r := l.read()
		if !t.due(r) {
			continue
		}
		debug.FreeOSMemory()
		after := l.read()
		t.done(after, after.at.Sub(r.at))
		if trimmed != nil {
			trimmed()
		}
	}
}

// look reads the runtime's figures.
type look struct{ samples [2]metrics.Sample }

func newLook() *look {
	return &look{[2]metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}}
}

func (l *look) read() reading {
	metrics.Read(l.samples[:])
	r := reading{at: time.Now(), live: l.bytes(0), allocated: l.bytes(1)}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		r.cpu = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return r
}

// bytes is 0 where a runtime does not know the figure.
func (l *look) bytes(i int) uint64 {
	if v := l.samples[i].Value; v.Kind() == metrics.KindUint64 {
		return v.Uint64()
	}
	return 0
}
