// Package feed keeps the newest events for whoever follows them, each from where he was. It knows neither where they come from nor
// who they are for.
package feed

import (
	"slices"
	"sync"

	"semper"
)

// A Feed hands events to whoever follows them. Safe for concurrent use.
type Feed struct {
	mu      sync.Mutex
	events  []semper.Event // guarded by mu; the newest, oldest first; what is in it stays as it is
	changed chan struct{}  // guarded by mu; closed and replaced when there are newer ones
}

// New is a feed that has no events yet.
func New() *Feed { return &Feed{changed: make(chan struct{})} }

// Show makes events, oldest first, what there is, and tells whoever waits for newer ones. Nobody may change what is in it any more.
func (f *Feed) Show(events []semper.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	newer := last(events) > last(f.events)
	f.events = events
	if newer {
		close(f.changed)
		f.changed = make(chan struct{})
	}
}

func last(events []semper.Event) int64 {
	if len(events) == 0 {
		return 0
	}
	return events[len(events)-1].Seq
}

// After are the events with Seq > seq, and a channel closed when there are more.
func (f *Feed) After(seq int64) ([]semper.Event, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, _ := slices.BinarySearchFunc(f.events, seq+1, func(e semper.Event, s int64) int { return int(e.Seq - s) })
	return slices.Clone(f.events[i:]), f.changed
}
