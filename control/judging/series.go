package judging

import (
	"time"

	"semper"
)

// maxPoints bounds a series. When it is full, each two points become one.
const maxPoints = 120

// A Point is what happened in one stretch of a rollout.
type Point struct {
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Looks     int       `json:"looks"`
	Step      int       `json:"step"`
	Share     float64   `json:"share"` // the candidate's, of all requests, as declared
	Candidate Reading   `json:"candidate"`
	Baseline  Reading   `json:"baseline"`
	E         float64   `json:"e"` // at its end
}

// A Reading is what one arm did in it.
type Reading struct {
	Requests int64           `json:"requests"`
	Failed   int64           `json:"failed"`
	P50      semper.Duration `json:"p50,omitempty"`
	P99      semper.Duration `json:"p99,omitempty"`
	Memory   float64         `json:"memory,omitempty"` // bytes per instance; 0: not read
}

func reading(d *moved, memory float64) Reading {
	return Reading{
		Requests: d.requests, Failed: d.failed, Memory: memory,
		P50: semper.Duration(d.latency.Quantile(.5)), P99: semper.Duration(d.latency.Quantile(.99)),
	}
}

// merge is both, one after the other. A quantile of both is told as the mean of both, weighed by requests.
func (a Reading) merge(b Reading) Reading {
	if n := float64(a.Requests + b.Requests); n > 0 {
		mean := func(x, y semper.Duration) semper.Duration {
			return semper.Duration((float64(x)*float64(a.Requests) + float64(y)*float64(b.Requests)) / n)
		}
		a.P50, a.P99 = mean(a.P50, b.P50), mean(a.P99, b.P99)
	}
	if b.Memory != 0 {
		a.Memory = b.Memory
	}
	a.Requests += b.Requests
	a.Failed += b.Failed
	return a
}

func (a Point) merge(b Point) Point {
	a.Candidate, a.Baseline = a.Candidate.merge(b.Candidate), a.Baseline.merge(b.Baseline)
	a.To, a.E, a.Looks = b.To, b.E, a.Looks+b.Looks
	return a
}

// plot adds a point to the series. Points of two steps are kept apart as long as there is room.
func (r *Record) plot(p Point) {
	n := len(r.Series)
	if n > 0 && r.Series[n-1].Looks < r.Every && r.Series[n-1].Step == p.Step {
		r.Series[n-1] = r.Series[n-1].merge(p)
		return
	}
	if n >= maxPoints {
		half := r.Series[:0]
		for i := 0; i < n; i += 2 {
			q := r.Series[i]
			if i+1 < n {
				step, share := r.Series[i+1].Step, r.Series[i+1].Share
				q = q.merge(r.Series[i+1])
				q.Step, q.Share = step, share
			}
			half = append(half, q)
		}
		r.Series = half
		r.Every *= 2
	}
	r.Series = append(r.Series, p)
}
