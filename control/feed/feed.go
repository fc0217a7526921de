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
	keep int

	mu      sync.Mutex
	events  []semper.Event // guarded by mu; the newest, oldest first
	changed chan struct{}  // guarded by mu; closed and replaced at each event
}

// New is a feed of the newest keep events.
func New(keep int) *Feed { return &Feed{keep: keep, changed: make(chan struct{})} }

// Load is the events that are there already.
func (f *Feed) Load(events []semper.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = slices.Clone(events)
}

// Send hands new events to whoever waits for some.
func (f *Feed) Send(events []semper.Event) {
	if len(events) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, events...)
	if n := len(f.events) - f.keep; n > 0 {
		f.events = slices.Clone(f.events[n:])
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// After are the events with Seq > seq, and a channel closed when there are more.
func (f *Feed) After(seq int64) ([]semper.Event, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, _ := slices.BinarySearchFunc(f.events, seq+1, func(e semper.Event, s int64) int { return int(e.Seq - s) })
	return slices.Clone(f.events[i:]), f.changed
}
