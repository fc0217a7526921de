package judging

import (
	"fmt"
	"time"

	"semper"
	"semper/edge/sketch"
	"semper/verify"
)

// Metrics of a plan.
const (
	metricErrors      = "errors"
	metricUsers       = "users"
	metricLatency     = "latency"
	metricMemory      = "memory_mib" // resident, per instance
	metricDifferences = "differences"
)

// Terms are what a rollout is judged by. They do not change while it lasts.
type Terms struct {
	App         string             `json:"app"`
	Environment string             `json:"environment"`
	Rollout     string             `json:"rollout"`
	From        semper.ReleaseName `json:"from"`             // the current release
	To          semper.ReleaseName `json:"to"`               // the candidate
	Against     semper.Baseline    `json:"against"`          // a fresh one may be given up
	By          string             `json:"by,omitempty"`     // what keeps users on their arm, as [semper.Deploy] has it
	Shadow      bool               `json:"shadow,omitempty"` // a step of it sends copies
	Judge       semper.Judge       `json:"judge"`
}

const (
	// trialPart is how much of a rollout's alpha the trial has; the watch has the rest.
	trialPart = .9
	// memoryFloor is how much more memory is nobody's business: runtimes differ by as much from one start to the next. In MiB.
	memoryFloor = 16
	// latencyFloor is how much slower is nobody's business, in seconds.
	latencyFloor = .002
)

// Alpha bounds the probability that a release which is as good is ever found worse.
func (t *Terms) Alpha() float64 {
	if t.Judge.Alpha == 0 {
		return verify.DefaultAlpha
	}
	return t.Judge.Alpha
}

func (t *Terms) errorMargin() float64 {
	if t.Judge.ErrorMargin == 0 {
		return verify.DefaultErrorMargin
	}
	return t.Judge.ErrorMargin
}

func (t *Terms) errorFloor() float64 {
	switch f := t.Judge.ErrorFloor; {
	case f == 0:
		return verify.DefaultErrorFloor
	case f < 0:
		return 0
	default:
		return f
	}
}

// latencyMargin is twice as wide against instances whose caches are warm.
func (t *Terms) latencyMargin() float64 {
	m := t.Judge.LatencyAbove
	if m == 0 {
		m = verify.DefaultLatencyMargin
	}
	if t.Against == semper.BaselineStable {
		m = 1 + 2*(m-1)
	}
	return m
}

// Allowed is the rate of errors up to which nothing is held against the candidate beside what the baseline did.
func (t *Terms) Allowed(baseline verify.Arm) float64 {
	if baseline.Requests == 0 {
		return t.errorFloor()
	}
	return max(t.errorFloor(), t.errorMargin()*float64(baseline.Bad)/float64(baseline.Requests))
}

// Limit is the duration that a request of the candidate must take to count as slow by a threshold.
func (t *Terms) Limit(at verify.Threshold) time.Duration {
	m := verify.Metric{Kind: verify.Latency, Margin: t.latencyMargin(), Floor: latencyFloor}
	return sketch.Ceil(m.Limit(at))
}

// Interval is the time from one look to the next.
func (t *Terms) Interval() time.Duration {
	if d := t.Judge.Interval.D(); d > 0 {
		return d
	}
	return time.Second
}

// Slice is the time between two readings of memory.
func (t *Terms) Slice() time.Duration { return 10 * t.Interval() }

// sticky reports whether users stay on their arm.
func (t *Terms) sticky() bool { return t.By != "" }

// errors is the metric that errors are judged by.
func (t *Terms) errors() string {
	if t.sticky() {
		return metricUsers
	}
	return metricErrors
}

// plan is the judge's. Which metric has to have data depends on the step, and so none has to for package verify.
func (t *Terms) plan() verify.Plan {
	kind := verify.Errors
	if t.sticky() {
		kind = verify.Users
	}
	p := verify.Plan{Alpha: trialPart * t.Alpha(), WarmUp: t.Judge.WarmUp.D(), Metrics: []verify.Metric{
		{Name: t.errors(), Kind: kind, Weight: 3, Margin: t.Judge.ErrorMargin, Floor: t.Judge.ErrorFloor, Bursts: t.Judge.ErrorBursts, Optional: true},
		{Name: metricLatency, Kind: verify.Latency, Weight: 2, Margin: t.latencyMargin(), Floor: latencyFloor, Optional: true},
	}}
	if t.Against == semper.BaselineFresh {
		p.Metrics = append(p.Metrics, verify.Metric{Name: metricMemory, Kind: verify.Gauge, Margin: t.Judge.MemoryMargin, Floor: memoryFloor, Optional: true})
	}
	if t.Shadow {
		p.Metrics = append(p.Metrics, verify.Metric{Name: metricDifferences, Kind: verify.Differences, Weight: 2, Optional: true})
	}
	for _, m := range t.Judge.Metrics {
		p.Metrics = append(p.Metrics, verify.Metric{Name: m.Name, Kind: verify.Mean, Margin: m.Margin, LessIsWorse: !m.Less, Optional: true})
	}
	return p
}

// Check says what is wrong with the terms.
func (t *Terms) Check() error {
	if t.App == "" || t.Environment == "" || t.Rollout == "" || t.To == "" {
		return fmt.Errorf("rollout %q of %q in %q to %q: a judge wants to know all four", t.Rollout, t.App, t.Environment, t.To)
	}
	if t.Against != semper.BaselineFresh && t.Against != semper.BaselineStable {
		return fmt.Errorf("the baseline is %q: it is %s or %s", t.Against, semper.BaselineFresh, semper.BaselineStable)
	}
	p := t.plan()
	return p.Check()
}
