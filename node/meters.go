package node

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"semper"
	"semper/edge/metrics"
	"semper/keeper"
	"semper/queue"
	"semper/queue/meter"
)

// meters answers what a queue process counts, on its own socket: numbers for control, and metrics in the words of those of edges.
//
//	GET /v1/readings          of all queues, as JSON
//	GET /v1/readings?of=NAME  of one, with its past: app/environment/service
//	GET /metrics              for Prometheus
func meters(m *meter.Meter) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/readings", func(w http.ResponseWriter, r *http.Request) {
		all := []meter.Reading{}
		if name := r.FormValue("of"); name == "" {
			all = m.Readings(r.Context())
		} else if of, err := serviceOf(semper.PoolKey(name)); err == nil {
			if one, ok := m.Reading(r.Context(), of); ok {
				all = append(all, one)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(all) // who asked went away
	})
	mux.Handle("GET /metrics", metrics.Handler(func(ctx context.Context) []metrics.Family { return queueFamilies(m.Readings(ctx)) }))
	return mux
}

// tellCounts counts, and answers with it, until its context ends.
func (c *clerk) tellCounts(o PartOptions) func(ctx context.Context, ready func()) error {
	return func(ctx context.Context, ready func()) error {
		var wg sync.WaitGroup
		defer wg.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		wg.Go(func() { _ = c.meter.Run(ctx) }) // it ends with ctx, and never else
		return answer(ctx, o, c.words(meters(c.meter)), ready)
	}
}

// queueFamilies are readings as metrics. What OpenTelemetry has a name for has that, as with edges.
func queueFamilies(all []meter.Reading) []metrics.Family {
	of := func(r *meter.Reading, more ...metrics.Label) []metrics.Label {
		return append([]metrics.Label{{Name: "semper_app", Value: r.Service.App}, {Name: "semper_pool", Value: r.Service.String()}}, more...)
	}
	values := func(kind metrics.Kind, name, help string, each func(r *meter.Reading, yield func(float64, ...metrics.Label))) metrics.Family {
		return metrics.Family{Name: name, Help: help, Kind: kind, Collect: func(yield func(float64, ...metrics.Label)) {
			for i := range all {
				if kind == metrics.Counter || !all[i].Blind {
					each(&all[i], yield)
				}
			}
		}}
	}
	gauge := func(name, help string, value func(*meter.Reading) float64) metrics.Family {
		return values(metrics.Gauge, name, help, func(r *meter.Reading, yield func(float64, ...metrics.Label)) { yield(value(r), of(r)...) })
	}
	counter := func(name, help string, value func(meter.Counts) uint64) metrics.Family {
		return values(metrics.Counter, name, help, func(r *meter.Reading, yield func(float64, ...metrics.Label)) {
			yield(float64(value(r.Total)), of(r)...)
		})
	}
	durations := func(name, help string, value func(*meter.Reading) meter.Histogram, more ...metrics.Label) metrics.Family {
		return metrics.Family{Name: name, Help: help, Kind: metrics.Histogram, Distributions: func(yield func(metrics.Distribution, ...metrics.Label)) {
			for i := range all {
				h := value(&all[i])
				yield(metrics.Distribution{Limits: meter.Limits(), Counts: h.Counts, Sum: h.Sum}, of(&all[i], more...)...)
			}
		}}
	}
	return []metrics.Family{
		values(metrics.Gauge, "semper_queue_depth", "Jobs of a queue, by state.", func(r *meter.Reading, yield func(float64, ...metrics.Label)) {
			for _, s := range []struct {
				state queue.State
				n     int
			}{{queue.Queued, r.Stats.Queued}, {queue.Delayed, r.Stats.Delayed}, {queue.Running, r.Stats.Running}, {queue.Dead, r.Stats.Dead}} {
				yield(float64(s.n), of(r, metrics.Label{Name: "state", Value: string(s.state)})...)
			}
		}),
		gauge("semper_queue_oldest_age_seconds", "How long the first job that may start has waited.", func(r *meter.Reading) float64 { return r.Stats.Age(r.At).Seconds() }),
		gauge("semper_queue_size_bytes", "What the jobs of a queue take of its bound.", func(r *meter.Reading) float64 { return float64(r.Stats.Bytes) }),
		gauge("semper_queue_paused", "Whether no job of a queue starts, by somebody's wish.", func(r *meter.Reading) float64 { return truth(r.Stats.Paused != nil) }),
		gauge("semper_queue_full", "Whether a queue refuses requests for want of room.", func(r *meter.Reading) float64 { return truth(r.Stats.Full) }),
		counter("semper_queue_accepted_total", "Requests that became jobs.", func(c meter.Counts) uint64 { return c.Accepted }),
		counter("semper_queue_duplicates_total", "Requests that were there already, under the same idempotency key.", func(c meter.Counts) uint64 { return c.Duplicate }),
		values(metrics.Counter, "semper_queue_refused_total", "Requests that became no jobs, by why.", func(r *meter.Reading, yield func(float64, ...metrics.Label)) {
			for _, c := range []struct {
				reason string
				n      uint64
			}{{"full", r.Total.Full}, {"invalid", r.Total.Invalid}, {"unavailable", r.Total.Unavailable}} {
				yield(float64(c.n), of(r, metrics.Label{Name: "reason", Value: c.reason})...)
			}
		}),
		counter("semper_queue_attempts_total", "Attempts that began.", func(c meter.Counts) uint64 { return c.Attempts }),
		counter("semper_queue_failures_total", "Attempts that completed nothing.", func(c meter.Counts) uint64 { return c.Failed }),
		counter("semper_queue_done_total", "Jobs that were completed.", func(c meter.Counts) uint64 { return c.Done }),
		counter("semper_queue_dead_total", "Jobs that no attempt completed.", func(c meter.Counts) uint64 { return c.Dead }),
		durations("semper_queue_job_duration_seconds", "From when a job might start to when it was done.", func(r *meter.Reading) meter.Histogram { return r.Jobs }),
		durations("messaging_process_duration_seconds", "Duration of attempts.", func(r *meter.Reading) meter.Histogram { return r.Attempts },
			metrics.Label{Name: "messaging_system", Value: "semper"}, metrics.Label{Name: "messaging_operation_name", Value: "process"}),
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// counters asks the queue process over its own socket.
type counters struct{ *edges }

// part is the queue process, if one is there.
func (c counters) part(ctx context.Context) (keeper.Part, bool, error) {
	parts, err := c.keeper.Parts(ctx)
	if err != nil {
		return keeper.Part{}, false, err
	}
	for _, p := range parts {
		if p.Kind == "queue" && p.PID != 0 && p.Ready && !p.Draining {
			return p, true, nil
		}
	}
	return keeper.Part{}, false, nil
}

// Readings implements [queues.Counters].
func (c counters) Readings(ctx context.Context, of queue.Service) ([]meter.Reading, error) {
	p, ok, err := c.part(ctx)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &semper.Error{Code: semper.Unavailable, Message: "no queue process answers", Hint: "semper tree shows it"}
	}
	path := "/v1/readings"
	if of != (queue.Service{}) {
		path += "?of=" + of.String() // as names of services are
	}
	var all []meter.Reading
	err = c.ask(ctx, p.Socket, path, &all)
	return all, err
}
