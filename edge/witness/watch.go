package witness

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Watch looks once a second until ctx ends. current are the places that requests can get to at that moment.
func (w *Witness) Watch(ctx context.Context, current func() []*Place) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			w.Look(now, current())
		}
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
