package verify

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// A Kind says what a metric's observations are and which kernel judges them.
type Kind string

const (
	// Errors are requests that failed, or whatever else is bad and rare, by [Counts]: more than Margin times the baseline's
	// rate, and above Floor.
	Errors Kind = "errors"
	// Users are users or sessions that met an error, where a user's requests all go to one arm. Errors come to users in
	// bursts: to count them as if each came by itself would convict releases that are as good.
	Users Kind = "users"
	// Latency is how many requests were slower than each of some thresholds, which were fixed before the first of them.
	Latency Kind = "latency"
	// Differences are responses of a shadow that differ, against those of a second copy of the baseline that differ: pairs
	// of which exactly one differs are fair coins when the candidate is no different than chance makes the baseline.
	Differences Kind = "differences"
	// Gauge is a level, like memory, as both arms have it in the same slice of time.
	Gauge Kind = "gauge"
	// Mean is the mean of a business metric over users.
	Mean Kind = "mean"
)

// Kinds are all of them.
var Kinds = []Kind{Errors, Users, Latency, Differences, Gauge, Mean}

// Defaults of a [Plan] and its metrics.
const (
	DefaultAlpha         = .01
	DefaultMismatchAlpha = .001
	DefaultErrorMargin   = 1.25 // times the baseline's rate
	DefaultErrorFloor    = .001 // of requests
	DefaultLatencyMargin = 1.1  // times each threshold
	DefaultGaugeMargin   = 1.1  // times the baseline's value
)

// A Threshold is a duration that was registered before the candidate had its first request, mostly a quantile of the
// baseline's latencies. The candidate's requests are counted against it times the metric's margin.
type Threshold struct {
	Name   string        `json:"name"` // like p99
	At     time.Duration `json:"at"`
	Weight float64       `json:"weight"` // of the metric's evidence; those of a metric are scaled to the sum 1
}

// QuantileWeights are which quantiles make good thresholds, and what they weigh: most is expected of the tail, but a shift of everything
// shows at the median first.
var QuantileWeights = []struct {
	Name     string
	Quantile float64
	Weight   float64
}{{"p50", .5, .1}, {"p75", .75, .1}, {"p90", .9, .2}, {"p95", .95, .2}, {"p99", .99, .3}, {"p99.9", .999, .1}}

// A Metric is one thing that is judged.
type Metric struct {
	Name   string  `json:"name"`
	Kind   Kind    `json:"kind"`
	Weight float64 `json:"weight,omitempty"` // of the error budget; 0 is 1; those of a plan are scaled to the sum 1
	// Margin is what is allowed. Errors, Users, Differences: times the baseline's rate; Latency: times the thresholds; Gauge: times the
	// baseline's value; Mean: the part of the baseline's mean that may be lost. 0 is the default of the kind, of Mean none.
	Margin float64 `json:"margin,omitempty"`
	// Floor is what is never held against the candidate, whatever the baseline's is. Errors, Users: a rate; 0 is [DefaultErrorFloor], and
	// a negative one is none. Gauge: a difference of the levels. Latency: seconds.
	Floor float64 `json:"floor,omitempty"`
	// Bursts says of Errors and Users that bad ones come many at a time for one reason which may hit either arm, like a disk that is full for a
	// second. They then convict by [Counts] and by [Paired] alone: in many slices of time. Latency is always judged so: a process that stands
	// still makes all slow that it has in hand.
	Bursts bool `json:"bursts,omitempty"`
	// Thresholds of Latency. Without them nothing of it counts until [Judge.Register] has fixed them.
	Thresholds []Threshold `json:"thresholds,omitempty"`
	// LessIsWorse turns Gauge and Mean around: Mean without it is of something that should not grow, like a cost.
	LessIsWorse bool `json:"less_is_worse,omitempty"`
	// Optional metrics may be without data; any other without data leaves the verdict open.
	Optional bool `json:"optional,omitempty"`
}

// A Plan is what is judged and how sure one wants to be. It is fixed before the first observation.
type Plan struct {
	// Alpha bounds the probability that a candidate which is as good is ever found worse, however often one looks, over all
	// metrics and steps of a rollout. 0 is [DefaultAlpha].
	Alpha   float64  `json:"alpha,omitempty"`
	Metrics []Metric `json:"metrics"`
	// WarmUp is how long after the start nothing counts, on both arms.
	WarmUp time.Duration `json:"warm_up,omitempty"`
}

func (p *Plan) alpha() float64 {
	if p.Alpha == 0 {
		return DefaultAlpha
	}
	return p.Alpha
}

// Check says everything that is wrong with the plan.
func (p *Plan) Check() error {
	var all []error
	if a := p.alpha(); !(a > 0 && a < 1) {
		all = append(all, fmt.Errorf("alpha is %v: it is a probability between 0 and 1, like 0.01", p.Alpha))
	}
	if p.WarmUp < 0 {
		all = append(all, fmt.Errorf("the warm-up lasts %v: it is not negative", p.WarmUp))
	}
	if len(p.Metrics) == 0 {
		all = append(all, errors.New("there is no metric: a judge needs at least one"))
	}
	names := map[string]bool{}
	for i := range p.Metrics {
		m := &p.Metrics[i]
		if err := m.Check(); err != nil {
			all = append(all, fmt.Errorf("metric %d (%q): %w", i+1, m.Name, err))
		}
		if names[m.Name] {
			all = append(all, fmt.Errorf("metric %d: there is a metric %q before it", i+1, m.Name))
		}
		names[m.Name] = true
	}
	return errors.Join(all...)
}

// Check says what is wrong with the metric.
func (m *Metric) Check() error {
	low, high := m.marginRange()
	switch {
	case m.Name == "":
		return errors.New("it has no name")
	case !slices.Contains(Kinds, m.Kind):
		return fmt.Errorf("its kind is %q: there are %v", m.Kind, Kinds)
	case m.Weight < 0 || notFinite(m.Weight):
		return fmt.Errorf("its weight is %v: a weight is positive, or 0 for 1", m.Weight)
	case !(m.margin() >= low && m.margin() < high):
		return fmt.Errorf("its margin is %v: for %s it is from %v and below %v", m.Margin, m.Kind, low, high)
	case (m.Kind == Gauge || m.Kind == Latency) && (notFinite(m.Floor) || m.Floor < 0):
		return fmt.Errorf("its floor is %v: it is a difference, 0 or above", m.Floor)
	case m.Kind != Gauge && m.Kind != Latency && (math.IsNaN(m.Floor) || m.Floor >= 1):
		return fmt.Errorf("its floor is %v: it is a rate below 1", m.Floor)
	case m.Floor != 0 && !slices.Contains([]Kind{Errors, Users, Latency, Gauge}, m.Kind):
		return fmt.Errorf("it has a floor: only %s, %s, %s and %s have one", Errors, Users, Latency, Gauge)
	case m.Bursts && !slices.Contains([]Kind{Errors, Users, Latency}, m.Kind):
		return fmt.Errorf("its bad requests come in bursts: only those of %s, %s and %s do", Errors, Users, Latency)
	case m.Kind != Latency && len(m.Thresholds) > 0:
		return fmt.Errorf("it has %d thresholds: only %s has some", len(m.Thresholds), Latency)
	case len(m.Thresholds) == 0:
		return nil
	}
	sum := 0.0
	for _, t := range m.Thresholds {
		if t.At <= 0 || !(t.Weight >= 0) || math.IsInf(t.Weight, 1) {
			return fmt.Errorf("its threshold %q of %v weighs %v: both are positive", t.Name, t.At, t.Weight)
		}
		sum += t.Weight
	}
	if sum == 0 {
		return errors.New("none of its thresholds weighs anything")
	}
	return nil
}

// margin is what is allowed, by default if the metric does not say.
func (m *Metric) margin() float64 {
	if m.Margin != 0 {
		return m.Margin
	}
	switch m.Kind {
	case Errors, Users:
		return DefaultErrorMargin
	case Latency:
		return DefaultLatencyMargin
	case Gauge:
		if m.LessIsWorse {
			return 1 / DefaultGaugeMargin
		}
		return DefaultGaugeMargin
	case Mean:
		return 0
	}
	return 1
}

// paired reports whether slices of time are compared, too.
func (m *Metric) paired() bool { return m.Kind == Latency || m.Bursts }

func (m *Metric) marginRange() (low, high float64) {
	switch {
	case m.Kind == Mean:
		return 0, 1
	case m.Kind == Gauge && m.LessIsWorse:
		return math.SmallestNonzeroFloat64, math.Nextafter(1, 2)
	}
	return 1, math.Inf(1)
}

func (m *Metric) floor() float64 {
	if m.Floor == 0 {
		return DefaultErrorFloor
	}
	return max(m.Floor, 0)
}

func (m *Metric) weight() float64 {
	if m.Weight == 0 {
		return 1
	}
	return m.Weight
}

// Limit is the duration that a candidate's request must take to count as slow by t.
func (m *Metric) Limit(t Threshold) time.Duration {
	return max(time.Duration(float64(t.At)*m.margin()), t.At+time.Duration(m.Floor*float64(time.Second)))
}
