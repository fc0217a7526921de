package replay

import (
	"math"
	"strings"
	"time"
	"unicode"

	"semper/edge/sketch"
	"semper/verify"
	"semper/verify/capture"
	"semper/verify/diff"
)

// A Report is what came of a replay.
type Report struct {
	Exchanges int64                    `json:"exchanges"` // in the recording, as far as it was read
	Left      map[capture.Reason]int64 `json:"left_out,omitempty"`
	Sent      int64                    `json:"sent"` // to the candidate
	// Unanswered are requests that a side did not answer. What the baseline did not answer is not compared, what the candidate did not is a
	// difference.
	Unanswered Unanswered `json:"unanswered,omitzero"`
	Unrecorded int64      `json:"unrecorded,omitempty"` // sent, but the recording has no response to compare with
	Large      int64      `json:"large,omitempty"`      // pairs with a response too large to keep, compared by length and hash
	Late       int64      `json:"late,omitempty"`       // requests that were sent later than they should: all of Concurrency were in hand
	Latency    *Latency   `json:"latency,omitempty"`    // nil: the baseline was not asked
	Board      diff.Board `json:"board"`

	candidate, baseline *sketch.Sketch
	slower              verify.Counts
}

// Unanswered is how many requests had no answer, by who was asked.
type Unanswered struct {
	Candidate int64 `json:"candidate,omitempty"`
	Baseline  int64 `json:"baseline,omitempty"`
	Copy      int64 `json:"copy,omitempty"`
}

// Latency compares how long both took, from the request to the end of the response, where both were asked at the same moment.
type Latency struct {
	Candidate Quantiles `json:"candidate"`
	Baseline  Quantiles `json:"baseline"`
	// Slower and Faster are pairs in which the candidate took more than [verify.DefaultLatencyMargin] times as long as the baseline, and the
	// other way round. If it is as fast, each of them is a fair coin, and E an e-value against that.
	Slower int64   `json:"slower"`
	Faster int64   `json:"faster"`
	E      float64 `json:"e"`
}

// Quantiles of durations.
type Quantiles struct {
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
}

func newReport() *Report {
	return &Report{Left: map[capture.Reason]int64{}, candidate: new(sketch.Sketch), baseline: new(sketch.Sketch)}
}

// count takes one exchange, and reports whether it was compared.
func (r *Report) count(p *pair) bool {
	r.Exchanges++
	if p.exchange.Left != "" {
		r.Left[p.exchange.Left]++
		return false
	}
	r.Sent++
	if p.late {
		r.Late++
	}
	if p.candidate.missing != "" {
		r.Unanswered.Candidate++
	}
	if p.baseline.missing != "" {
		r.Unanswered.Baseline++
	}
	if p.second.missing != "" {
		r.Unanswered.Copy++
	}
	if !p.compared {
		if !p.asked {
			r.Unrecorded++
		}
		return false
	}
	for _, a := range []*answer{&p.candidate, &p.baseline, &p.second} {
		if a.response != nil && !a.response.Kept {
			r.Large++
			break
		}
	}
	r.time(p)
	r.Board.Add(p.endpoint, p.found, p.noise)
	return true
}

// time takes how long a pair took where both were asked.
func (r *Report) time(p *pair) {
	if !p.asked || p.candidate.response == nil {
		return
	}
	if r.Latency == nil {
		r.Latency = new(Latency)
	}
	c, b := p.candidate.took, p.baseline.took
	r.candidate.Add(c)
	r.baseline.Add(b)
	one := verify.Batch{Candidate: verify.Arm{Requests: 1}, Baseline: verify.Arm{Requests: 1}}
	switch {
	case float64(c) > verify.DefaultLatencyMargin*float64(b):
		r.Latency.Slower++
		one.Candidate.Bad = 1
	case float64(b) > verify.DefaultLatencyMargin*float64(c):
		r.Latency.Faster++
		one.Baseline.Bad = 1
	}
	r.slower.Add(one) //nolint:errcheck // such a batch can be
	r.Latency.E = math.Exp(min(r.slower.LogE(), 700))
}

// finish reads what is only read once.
func (r *Report) finish() {
	if r.Latency == nil {
		return
	}
	of := func(s *sketch.Sketch) Quantiles {
		c := s.Read()
		return Quantiles{P50: c.Quantile(.5), P99: c.Quantile(.99)}
	}
	r.Latency.Candidate, r.Latency.Baseline = of(r.candidate), of(r.baseline)
}

// Verdict is what the report says after need pairs at least. A candidate that leaves requests without an answer shows on the board.
func (r *Report) Verdict(at time.Time, need int64) verify.Verdict {
	v := r.Board.Verdict(at, need)
	if r.Board.Pairs > 0 && r.Latency == nil && v.Cause == verify.NoData {
		v.Why = "the recorded responses are what was compared with: nothing says which differences happen anyway. --baseline asks the release in production"
		if len(r.Board.Places) == 0 {
			v.Why = "nothing differs from what was recorded; that proves little, since nothing says what happens anyway"
		}
	}
	return v
}

// endpoint is what requests to one thing have in common: the method, and the path with its data taken out. Queries are left out.
func endpoint(method, path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if data(s) {
			segments[i] = "*"
		}
	}
	return method + " " + strings.Join(segments, "/")
}

// data reports whether a segment of a path is no name: it begins with a digit, is an address, or is long and has digits in it.
func data(s string) bool {
	const long = 16
	if s == "" {
		return false
	}
	digit := strings.IndexFunc(s, unicode.IsDigit)
	return digit == 0 || strings.Contains(s, "@") || len(s) >= long && digit > 0 || len(s) > 4*long
}
