package metrics

import (
	"slices"
	"time"

	"semper/edge/sketch"
)

// A Flow is what one series did between two snapshots.
type Flow struct {
	Key              Key
	Classes          [6]uint64 // as in Reading
	Latency          sketch.Counts
	Upstream         sketch.Counts
	Retries          uint64
	Held             uint64
	Shed             uint64
	UpstreamFailures uint64
}

// Requests is how many requests ended.
func (f *Flow) Requests() uint64 { return (&Reading{Classes: f.Classes}).Requests() }

// Between is what happened from old to now, for each series of now and in its order. A series that old does not have, or
// has with higher counts, began anew meanwhile: all of it happened. It is pure.
func Between(old, now *Snapshot) []Flow {
	flows := make([]Flow, len(now.Series))
	for i := range now.Series {
		n := &now.Series[i]
		var o Reading
		if at, ok := slices.BinarySearchFunc(old.Series, n.Key, func(r Reading, k Key) int { return r.Key.Compare(k) }); ok {
			o = old.Series[at]
		}
		if o.Requests() > n.Requests() {
			o = Reading{}
		}
		f := &flows[i]
		*f = Flow{
			Key: n.Key, Latency: n.Latency.Sub(o.Latency), Upstream: n.Upstream.Sub(o.Upstream),
			Retries: less(n.Retries, o.Retries), Held: less(n.Held, o.Held), Shed: less(n.Shed, o.Shed),
			UpstreamFailures: less(n.UpstreamFailures, o.UpstreamFailures),
		}
		for c := range f.Classes {
			f.Classes[c] = less(n.Classes[c], o.Classes[c])
		}
	}
	return flows
}

// less is n - o, or n where a counter began anew.
func less(n, o uint64) uint64 {
	if o > n {
		return n
	}
	return n - o
}

// A Report is what an edge does now, for people: one row per series.
type Report struct {
	At   time.Time `json:"at"`
	Rows []Row     `json:"rows"`
}

// A Row is one series. All but the rates and what is in flight is of the last 10 seconds.
type Row struct {
	Key
	// Requests that ended, per second, over the last 1, 10 and 60 seconds, or as far as the snapshots go back.
	Rate1  float64 `json:"rate_1s"`
	Rate10 float64 `json:"rate_10s"`
	Rate60 float64 `json:"rate_60s"`

	InFlight int64    `json:"in_flight"`
	Status   Statuses `json:"status"`
	Latency  Latency  `json:"latency"`  // as clients saw it
	Upstream Latency  `json:"upstream"` // of the tries at instances
	Retries  uint64   `json:"retries"`
	Held     uint64   `json:"held"` // let go after they had been held
	Shed     uint64   `json:"shed"`
	Failures uint64   `json:"upstream_errors"`
}

// Statuses are requests by the class of their status.
type Statuses struct {
	Informational uint64 `json:"1xx"` // 101: protocols were switched
	Success       uint64 `json:"2xx"`
	Redirect      uint64 `json:"3xx"`
	ClientError   uint64 `json:"4xx"`
	ServerError   uint64 `json:"5xx"`
	None          uint64 `json:"none"` // the client went first
}

// Latency is quantiles in seconds, within [sketch.RelativeError], zero when nothing was measured; and what they are computed
// from, so that the latencies of several edges can be put together.
type Latency struct {
	P50    float64       `json:"p50_seconds"`
	P95    float64       `json:"p95_seconds"`
	P99    float64       `json:"p99_seconds"`
	Sketch sketch.Counts `json:"sketch,omitzero"`
}

func latencyOf(c sketch.Counts) Latency {
	return Latency{P50: c.Quantile(.5).Seconds(), P95: c.Quantile(.95).Seconds(), P99: c.Quantile(.99).Seconds(), Sketch: c}
}

// NewReport makes a report of snapshots taken now and about 1, 10 and 60 seconds before. Series in which nothing happened in
// the last minute and nothing is in flight are left out. It is pure.
func NewReport(now, second, ten, minute *Snapshot) Report {
	r := Report{At: now.At, Rows: []Row{}}
	last1, last10, last60 := Between(second, now), Between(ten, now), Between(minute, now)
	for i := range now.Series {
		if last60[i].Requests() == 0 && now.Series[i].InFlight == 0 {
			continue
		}
		f := &last10[i]
		r.Rows = append(r.Rows, Row{
			Key:   f.Key,
			Rate1: rate(&last1[i], second, now), Rate10: rate(f, ten, now), Rate60: rate(&last60[i], minute, now),
			InFlight: now.Series[i].InFlight,
			Status: Statuses{
				Informational: f.Classes[1], Success: f.Classes[2], Redirect: f.Classes[3], ClientError: f.Classes[4],
				ServerError: f.Classes[5], None: f.Classes[0],
			},
			Latency: latencyOf(f.Latency), Upstream: latencyOf(f.Upstream),
			Retries: f.Retries, Held: f.Held, Shed: f.Shed, Failures: f.UpstreamFailures,
		})
	}
	return r
}

// Merge is the report of several edges together: rates and counts add up, and quantiles are those of all requests, which
// those of the edges could not tell. Its time is the oldest of theirs. It is pure.
func Merge(reports ...Report) Report {
	all := Report{Rows: []Row{}}
	for i := range reports {
		r := &reports[i]
		if all.At.IsZero() || r.At.Before(all.At) {
			all.At = r.At
		}
		for j := range r.Rows {
			row := &r.Rows[j]
			at, ok := slices.BinarySearchFunc(all.Rows, row.Key, func(r Row, k Key) int { return r.Key.Compare(k) })
			if ok {
				all.Rows[at].add(row)
				continue
			}
			all.Rows = slices.Insert(all.Rows, at, *row)
		}
	}
	return all
}

func (r *Row) add(o *Row) {
	r.Rate1 += o.Rate1
	r.Rate10 += o.Rate10
	r.Rate60 += o.Rate60
	r.InFlight += o.InFlight
	r.Status.Informational += o.Status.Informational
	r.Status.Success += o.Status.Success
	r.Status.Redirect += o.Status.Redirect
	r.Status.ClientError += o.Status.ClientError
	r.Status.ServerError += o.Status.ServerError
	r.Status.None += o.Status.None
	r.Latency, r.Upstream = r.Latency.with(o.Latency), r.Upstream.with(o.Upstream)
	r.Retries += o.Retries
	r.Held += o.Held
	r.Shed += o.Shed
	r.Failures += o.Failures
}

func (l Latency) with(o Latency) Latency {
	both := l.Sketch.Clone()
	both.Merge(o.Sketch)
	return latencyOf(both)
}

// rate is requests per second of the time that really passed.
func rate(f *Flow, old, now *Snapshot) float64 {
	if d := now.At.Sub(old.At).Seconds(); d > 0 {
		return float64(f.Requests()) / d
	}
	return 0
}

// A History has the snapshots that a report wants, pushed about once a second. The zero History is empty. It is not safe
// for concurrent use.
type History struct {
	all   []*Snapshot // oldest first
	faded int         // how many of them have no latencies any more: the oldest
}

const (
	keepLatency = 10 * time.Second
	keepCounts  = time.Minute
)

// Push takes a snapshot that is younger than those before. It is the history's from now on: once it is too old for them, its latencies,
// which are most of it, are taken out.
func (h *History) Push(s *Snapshot) {
	// One at the age of a minute or more is wanted, none before it.
	for len(h.all) > 1 && s.At.Sub(h.all[1].At) >= keepCounts {
		h.all, h.faded = h.all[1:], max(h.faded-1, 0)
	}
	// The same for latencies.
	for ; h.faded+1 < len(h.all) && s.At.Sub(h.all[h.faded+1].At) >= keepLatency; h.faded++ {
		h.all[h.faded].fade()
	}
	h.all = append(h.all, s)
}

// fade takes the latencies out of s.
func (s *Snapshot) fade() {
	for i := range s.Series {
		s.Series[i].Latency, s.Series[i].Upstream = sketch.Counts{}, sketch.Counts{}
	}
}

// Report is the report of the youngest snapshot; of an empty history it has no rows.
func (h *History) Report() Report {
	if len(h.all) == 0 {
		return Report{Rows: []Row{}}
	}
	return NewReport(h.all[len(h.all)-1], h.ago(time.Second), h.ago(keepLatency), h.ago(keepCounts))
}

// ago is the snapshot whose age, counted from the youngest, is closest to d.
func (h *History) ago(d time.Duration) *Snapshot {
	last := len(h.all) - 1
	now, best := h.all[last].At, h.all[max(last-1, 0)]
	for i := last - 2; i >= 0; i-- {
		if off := (now.Sub(h.all[i].At) - d).Abs(); off < (now.Sub(best.At) - d).Abs() {
			best = h.all[i]
		}
	}
	return best
}
