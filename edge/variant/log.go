package variant

import (
	"sync"
	"sync/atomic"
	"time"

	"semper/experiment/design"
)

// Bounds of a [Log].
const (
	kept  = 1 << 16 // exposures that wait to be fetched
	told  = 1 << 16 // users of whom it is known that they were told of within this minute
	fetch = 1 << 13 // exposures at once
)

// A Log keeps exposures until they are fetched. It is safe for concurrent use. The zero Log is ready, and takes no memory before the
// first exposure.
type Log struct {
	told atomic.Pointer[[told]atomic.Uint64] // by number: who was told of, and in which minute

	mu      sync.Mutex // guards what follows
	ring    []design.Exposure
	next    uint64 // exposures ever
	last    int64  // Seq of the newest
	fetched int64  // the highest Seq that was
	dropped uint64
}

// add takes an exposure, unless it took the same one within this minute. Two users who share a place in the table make it forget one
// another: then one is told of too often, which does no harm.
func (l *Log) add(run string, variant int, number uint64, now time.Time) {
	t := l.told.Load()
	if t == nil {
		t = new([told]atomic.Uint64)
		if !l.told.CompareAndSwap(nil, t) {
			t = l.told.Load()
		}
	}
	mark := number ^ uint64(now.Unix()/60)*0x9e3779b97f4a7c15 | 1 // never that of nobody
	if at := &t[number%told]; at.Load() == mark || at.Swap(mark) == mark {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = max(l.last+1, now.UnixNano())
	e := design.Exposure{Seq: l.last, Run: run, Variant: variant, User: number, At: now}
	if len(l.ring) < kept {
		l.ring = append(l.ring, e)
	} else {
		old := &l.ring[l.next%kept]
		if old.Seq > l.fetched {
			l.dropped++
		}
		*old = e
	}
	l.next++
}

// After are exposures after seq, oldest first. There is one who fetches: what he has had may go.
func (l *Log) After(edge string, seq int64) design.Exposures {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := design.Exposures{Edge: edge, List: []design.Exposure{}, Dropped: l.dropped}
	n := uint64(len(l.ring))
	low, high := l.next-n, l.next
	for low < high { // the first after seq
		if mid := low + (high-low)/2; l.ring[mid%kept].Seq > seq {
			high = mid
		} else {
			low = mid + 1
		}
	}
	for ; low < l.next; low++ {
		if len(out.List) == fetch {
			out.More = true
			break
		}
		e := l.ring[low%kept]
		out.List = append(out.List, e)
		l.fetched = max(l.fetched, e.Seq)
	}
	return out
}
