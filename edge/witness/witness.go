package witness

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/accesslog"
	"semper/edge/metrics"
	"semper/edge/trace"
)

// Options of a [Witness]. The zero Options count, trace, and log nothing.
type Options struct {
	// Loops is how many loops there are, each with a Shard of its own, beside the goroutines; 0 for none.
	Loops int
	// Goroutines is how many Shards goroutines have in common; 1 if zero.
	Goroutines int
	// Log is the access log. Without a path and a writer there is none, until LogTo.
	Log accesslog.Options
	// Sampled is the share of the traces that are started here which are flagged as sampled; 0 stands for all of them, and
	// what is negative for none. The libraries of OpenTelemetry record no request whose traceparent is there and says that
	// its caller did not: an edge that started traces with that flag off would switch tracing off in every app behind it.
	Sampled float64
	// Timing says that every answer gets Server-Timing. Otherwise those get it whose request has a field X-Semper-Timing
	// and came from a trusted peer.
	Timing bool
	// Target describes the edge as a whole to those who scrape it: service.name, service.instance.id, …
	Target []metrics.Label
	// Report is told when the access log cannot be written, and when it can be again; nil discards.
	Report *slog.Logger
}

// Witness sees the requests of one edge. Its methods are safe for concurrent use.
type Witness struct {
	registry *metrics.Registry
	log      atomic.Pointer[accesslog.Log] // nil: there never was one
	logs     accesslog.Options             // what of them holds for every target
	logged   chan struct{}                 // closed when log is there
	starter  *trace.Starter
	timing   bool
	loops    []*Shard
	shared   []*Shard
	next     atomic.Uint32 // of shared
	nowhere  *Place

	logging    sync.Mutex // held while the log changes, guards the next; outermost
	keptShared *accesslog.Shared

	mu      sync.Mutex // guards what follows
	history metrics.History
	last    *metrics.Snapshot         // of the history; nil at first
	places  []*Place                  // that requests could get to at the last look
	named   map[metrics.Key]bool      // the keys of places
	gone    map[metrics.Key]time.Time // series no route leads to any more, and since when
}

// New makes a witness. Close ends it.
func New(o Options) (*Witness, error) {
	goroutines := max(o.Goroutines, 1)
	w := &Witness{
		registry: metrics.New(metrics.Options{Shards: o.Loops + goroutines, Target: o.Target}),
		timing:   o.Timing, gone: make(map[metrics.Key]time.Time), logged: make(chan struct{}), logs: o.Log,
	}
	if o.Sampled == 0 {
		o.Sampled = 1
	}
	w.starter = trace.NewStarter(trace.NewSampler(o.Sampled))
	if o.Log.Failed == nil && o.Report != nil {
		w.logs.Failed = report(o.Report)
	}
	for i := range o.Loops {
		w.loops = append(w.loops, &Shard{witness: w, number: i, owned: true, edge: w.registry.Shard(i)})
	}
	for i := range goroutines {
		w.shared = append(w.shared, &Shard{witness: w, number: o.Loops + i, edge: w.registry.Shard(o.Loops + i)})
	}
	w.nowhere = w.Place(metrics.Key{})
	t, err := w.OpenLog(o.Log)
	if err == nil && t != nil {
		err = w.LogTo(t)
	}
	if err != nil {
		return nil, err
	}
	return w, nil
}

func report(l *slog.Logger) func(error) {
	return func(err error) {
		if err != nil {
			l.Error("the access log cannot be written; its lines are lost until it can", "error", err)
			return
		}
		l.Info("the access log is written again")
	}
}

// Register adds values that somebody else keeps to what a scrape gets.
func (w *Witness) Register(families ...metrics.Family) error { return w.registry.Register(families...) }

// Shard is that of a loop, by its number from 1; for 0 it is one that goroutines share.
func (w *Witness) Shard(loop int) *Shard {
	if loop > 0 && loop <= len(w.loops) {
		return w.loops[loop-1]
	}
	return w.shared[w.next.Add(1)%uint32(len(w.shared))]
}

// A Place is where requests go: a release behind a route. It is made when routes are compiled.
type Place struct {
	key    metrics.Key
	series *metrics.Series
	line   *accesslog.Place
}

// Place is that of k. Places with one key count together.
func (w *Witness) Place(k metrics.Key) *Place {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.gone, k) // before the series is asked for: a Look that does not know of it yet must not forget it
	return &Place{key: k, series: w.registry.Series(k), line: accesslog.NewPlace(k.App, k.Release, k.Arm, k.Pool, k.Route)}
}

// Count counts an event that is of the place and of no request.
func (p *Place) Count(e metrics.Event) { p.series.Shard(0).Count(e) }

// Traffic is what the edge did in the last second, ten seconds and minute.
func (w *Witness) Traffic() metrics.Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.history.Report()
}

// Readings are the counts since each series was made.
func (w *Witness) Readings(now time.Time) *metrics.Snapshot { return w.registry.Snapshot(now) }

// Handler serves the metrics to a scrape.
func (w *Witness) Handler() http.Handler { return w.registry.Handler() }
