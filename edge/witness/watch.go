package witness

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"semper/edge/metrics"
)

// How the look of every second is taken: so many series at once, which are less than 200 µs of a processor, and then nothing for a
// moment. Requests wait for a processor no longer than that, however many series there are.
const (
	piece  = 8
	breath = time.Millisecond
)

// Watch looks once a second until ctx ends. current are the places that requests can get to at that moment: the same slice while
// they are the same.
func (w *Witness) Watch(ctx context.Context, current func() []*Place) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	rest := time.NewTimer(time.Hour)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			g := w.gather(now)
			for g.Read(piece) {
				rest.Reset(breath)
				select {
				case <-ctx.Done():
					return nil
				case <-rest.C:
				}
			}
			w.see(g.Snapshot(), current())
		}
	}
}

// keptFor is how long a series is shown after its release has gone: a scrape that comes once a minute, or somebody who looks
// at the last minute, has seen the end of it by then.
const keptFor = 5 * time.Minute

// Look takes the look of every second: what [Witness.Traffic] tells of, and which series can be forgotten. current are the
// places that requests can get to now.
func (w *Witness) Look(now time.Time, current []*Place) {
	g := w.gather(now)
	for g.Read(piece) {
	}
	w.see(g.Snapshot(), current)
}

// gather begins a look.
func (w *Witness) gather(now time.Time) *metrics.Gathering {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.registry.Gather(now, w.last)
}

// see ends a look that came to s.
func (w *Witness) see(s *metrics.Snapshot, current []*Place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history.Push(s)
	same := w.name(current) && w.last != nil && len(w.last.Series) == len(s.Series)
	if w.last = s; !same || len(w.gone) > 0 {
		w.forget(s)
	}
}

// name makes named the keys of current, and reports whether they are those of the last look. w.mu is held.
func (w *Witness) name(current []*Place) (same bool) {
	if w.named != nil && len(current) == len(w.places) && (len(current) == 0 || &current[0] == &w.places[0]) {
		return true
	}
	w.places, w.named = current, make(map[metrics.Key]bool, len(current)+1)
	w.named[metrics.Key{}] = true
	for _, p := range current {
		w.named[p.key] = true
	}
	return false
}

// forget lets series go that no place has had for a while. w.mu is held.
func (w *Witness) forget(s *metrics.Snapshot) {
	drop := make(map[metrics.Key]bool)
	for i := range s.Series {
		k := s.Series[i].Key
		since, known := w.gone[k]
		switch {
		case w.named[k]:
			delete(w.gone, k)
		case !known || s.Series[i].InFlight > 0:
			w.gone[k] = s.At
		case s.At.Sub(since) >= keptFor:
			drop[k] = true
			delete(w.gone, k)
		}
	}
	if len(drop) > 0 {
		w.registry.Retain(func(k metrics.Key) bool { return !drop[k] })
	}
}

// Handle offers what is seen on the edge's own socket:
//
//	GET /metrics      for a scrape, see [metrics.Registry.Handler]
//	GET /v1/traffic   what happened in the last second, ten seconds and minute: a [metrics.Report]
//	GET /v1/readings  all counts and latencies since each series was made: a [metrics.Snapshot]
func (w *Witness) Handle(m *http.ServeMux) {
	m.Handle("GET /metrics", w.registry.Handler())
	m.HandleFunc("GET /v1/traffic", func(rw http.ResponseWriter, _ *http.Request) { reply(rw, w.Traffic()) })
	m.HandleFunc("GET /v1/readings", func(rw http.ResponseWriter, _ *http.Request) { reply(rw, w.registry.Snapshot(time.Now())) })
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) //nolint:errcheck // whoever asked is gone
}
