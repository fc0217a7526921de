package verify

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Evidence is all that is kept of one metric. What a kind does not use is nil.
type Evidence struct {
	Counts    []*Counts `json:"counts,omitempty"` // one; of Latency one for each threshold
	Ratio     *Ratio    `json:"ratio,omitempty"`  // beside the first of Counts, for the report; of Latency beside none
	Paired    []*Paired `json:"paired,omitempty"` // beside Counts, where bad requests come in bursts
	Slices    *Slices   `json:"slices,omitempty"`
	Candidate *Moments  `json:"candidate,omitempty"`
	Baseline  *Moments  `json:"baseline,omitempty"`
	ByPlace   *float64  `json:"by_place,omitempty"` // of Differences: see Sample

	late []Batch // not in Ratio yet

	// Of the present state, once somebody asked: most metrics stay as they are from one look to the next.
	log      float64 // of the e-value
	known    bool    // log is
	interval *Bounded
}

// newEvidence is that of m before its first observation.
func newEvidence(m *Metric) *Evidence {
	switch m.Kind {
	case Latency:
		e := new(Evidence)
		for range m.Thresholds {
			e.Counts = append(e.Counts, &Counts{Frequent: true})
		}
		e.adopt(m)
		return e
	case Gauge:
		return &Evidence{Slices: new(Slices), Candidate: new(Moments), Baseline: new(Moments)}
	case Mean:
		return &Evidence{Candidate: new(Moments), Baseline: new(Moments)}
	}
	e := &Evidence{Counts: []*Counts{{Margin: m.margin()}}, Ratio: new(Ratio)}
	e.adopt(m)
	return e
}

// adopt lets slices begin where there are none: evidence that was written before they were kept goes on, and they convict later.
func (e *Evidence) adopt(m *Metric) {
	if m.paired() && e.Paired == nil {
		for range e.Counts {
			e.Paired = append(e.Paired, new(Paired))
		}
	}
}

// A Sample is what both arms did since the last one, as the metric's kind wants it.
type Sample struct {
	// Counts has one batch, of Latency one for each threshold. Of Differences the requests are pairs, and Bad of the candidate are
	// those of which only the candidate's response differs, of the baseline those of which only the second copy's does.
	Counts []Batch `json:"counts,omitempty"`
	// ByPlace, of Differences, is the logarithm of the e-value of all so far, where package diff has weighed it place by place. Then it
	// counts in the stead of Counts, which are told: answers that always differ somewhere hide that they differ elsewhere, too.
	ByPlace *float64 `json:"by_place,omitempty"`
	// Values are the levels of a Gauge, the candidate's first.
	Values *[2]float64 `json:"values,omitempty"`
	// Moments are those of the values of a Mean, the candidate's first.
	Moments *[2]Moments `json:"moments,omitempty"`
}

var errShape = errors.New("this is no sample of its kind")

// check says what is wrong with s as a sample of m, before any of it is counted.
func (s *Sample) check(m *Metric) error {
	want := 1
	if s.ByPlace != nil && (m.Kind != Differences || notFinite(*s.ByPlace)) {
		return fmt.Errorf("by_place is a finite number, of %s alone: %w", Differences, errShape)
	}
	switch m.Kind {
	case Gauge:
		if s.Values == nil || s.Counts != nil || s.Moments != nil {
			return fmt.Errorf("a %s has two values: %w", m.Kind, errShape)
		}
		if v := s.Values; notFinite(v[0]) || notFinite(v[1]) {
			return fmt.Errorf("the values %v and %v are no levels: leave out slices without a value", v[0], v[1])
		}
		return nil
	case Mean:
		if s.Moments == nil || s.Counts != nil || s.Values != nil {
			return fmt.Errorf("a %s has the moments of both arms: %w", m.Kind, errShape)
		}
		return errors.Join(s.Moments[0].Check(), s.Moments[1].Check())
	case Latency:
		want = len(m.Thresholds)
	}
	if len(s.Counts) != want || s.Values != nil || s.Moments != nil {
		return fmt.Errorf("%s has %d batches of counts, and not %d: %w", m.Kind, want, len(s.Counts), errShape)
	}
	for _, b := range s.Counts {
		if err := b.Check(); err != nil {
			return err
		}
	}
	return nil
}

// add counts a sample that was checked and ended at at.
func (e *Evidence) add(m *Metric, at time.Time, s *Sample) {
	e.known = false
	if s.ByPlace != nil {
		e.ByPlace = s.ByPlace
	}
	for i, b := range s.Counts {
		e.Counts[i].Add(b) //nolint:errcheck // it was checked
		if e.Paired != nil {
			e.Paired[i].Add(at, b) //nolint:errcheck // the same
		}
	}
	switch {
	case m.Kind == Gauge:
		c, b := s.Values[0], s.Values[1]
		e.Candidate.Add(c)
		e.Baseline.Add(b)
		if m.LessIsWorse {
			c, b = min(b*m.margin(), b-m.Floor), c
		} else {
			b = max(b*m.margin(), b+m.Floor)
		}
		e.Slices.Add(c, b) //nolint:errcheck // the same
	case m.Kind == Mean:
		e.Candidate.Merge(s.Moments[0])
		e.Baseline.Merge(s.Moments[1])
	case e.Ratio != nil:
		if b := s.Counts[0]; b.Candidate.Bad+b.Baseline.Bad > 0 {
			e.late, e.interval = append(e.late, b), nil
		}
		if len(e.late) >= maxLate {
			e.settle()
		}
	}
}

// maxLate bounds how many batches the interval waits for, which nobody asks for at each.
const maxLate = 32

// settle brings the interval's state up to date.
func (e *Evidence) settle() {
	if len(e.late) > 0 {
		e.Ratio.take(e.late)
		e.late = e.late[:0]
	}
}

// logE is the logarithm of the metric's e-value for "the candidate is no worse than allowed".
func (e *Evidence) logE(m *Metric, alpha float64) float64 {
	if !e.known {
		e.log, e.known = e.weigh(m, alpha), true
	}
	return e.log
}

func (e *Evidence) weigh(m *Metric, alpha float64) float64 {
	switch m.Kind {
	case Errors, Users:
		// It must be above the ratio and above the floor. Whichever of both is true bounds its own e-value, and so the
		// lesser one is an e-value for either.
		return min(e.counted(m), e.sliced(m))
	case Latency:
		// The same: each of both is for another picture of what chance does to requests that are slow.
		return min(e.counted(m), e.sliced(m))
	case Gauge:
		return e.Slices.LogE()
	case Mean:
		if !e.enough() {
			return 0
		}
		return Tuning{Alpha: alpha}.LogWorse(e.harm(m))
	}
	if e.ByPlace != nil {
		return *e.ByPlace
	}
	return e.Counts[0].LogE()
}

// counted is the logarithm of the e-value by which each bad request is a witness of its own.
func (e *Evidence) counted(m *Metric) float64 {
	if m.Kind == Latency {
		return weighed(m.Thresholds, func(i int) float64 { return e.Counts[i].LogE() })
	}
	c := e.Counts[0]
	return min(c.LogE(), Exceeds(c.Total.Candidate.Bad, c.Total.Candidate.Requests, m.floor()))
}

// sliced is the logarithm of the e-value by which each slice of time is one: without slices nothing is asked of it.
func (e *Evidence) sliced(m *Metric) float64 {
	switch {
	case e.Paired == nil:
		return math.Inf(1)
	case m.Kind == Latency:
		return weighed(m.Thresholds, func(i int) float64 { return e.Paired[i].LogE() })
	}
	return e.Paired[0].LogE()
}

// weighed is the logarithm of the weighted mean of the e-values of thresholds.
func weighed(all []Threshold, logE func(i int) float64) float64 {
	sum, l := 0.0, math.Inf(-1)
	for _, t := range all {
		sum += t.Weight
	}
	if sum == 0 {
		return 0 // none is registered
	}
	for i, t := range all {
		if t.Weight > 0 {
			l = logSum(l, math.Log(t.Weight/sum)+logE(i))
		}
	}
	return l
}

const (
	// fewSlices are too few to convict, whatever is in them, at the usual alpha and weights.
	fewSlices = 12
	// rising is an e-value of slices that is on its way: one in five sound candidates ever gets there.
	rising = 5
)

// suspect reports whether bad requests would convict, at an e-value with the logarithm limit, if they had not come in so few slices that it may
// be a burst, and slices to come can still tell.
func (e *Evidence) suspect(m *Metric, limit float64) bool {
	if len(e.Paired) == 0 || e.counted(m) < limit || e.sliced(m) >= limit {
		return false
	}
	most := int64(0)
	for _, p := range e.Paired {
		most = max(most, p.N)
	}
	return most < fewSlices || e.sliced(m) >= math.Log(rising)
}

// enough reports whether a mean can be judged.
func (e *Evidence) enough() bool { return min(e.Candidate.N, e.Baseline.N) >= MinMean }

// harm is by how much the candidate's mean is beyond what is allowed, in the direction that is worse.
func (e *Evidence) harm(m *Metric) Estimate {
	sign := 1.0
	if m.LessIsWorse {
		sign = -1
	}
	allowed := 1 + sign*math.Copysign(m.margin(), e.Baseline.Mean())
	b := Moments{N: e.Baseline.N, Sum: allowed * e.Baseline.Sum, Squares: allowed * allowed * e.Baseline.Squares}
	d := Difference(*e.Candidate, b)
	d.Value *= sign
	return d
}

// data reports whether both arms have given any.
func (e *Evidence) data() bool {
	switch {
	case len(e.Counts) > 0:
		t := &e.Counts[0].Total
		return t.Candidate.Requests > 0 && t.Baseline.Requests > 0
	case e.Candidate == nil:
		return false // of latency without thresholds
	}
	return e.Candidate.N > 0 && e.Baseline.N > 0
}

// check says what is wrong with evidence that was read for m.
func (e *Evidence) check(m *Metric) error {
	fresh := newEvidence(m)
	if len(e.Counts) != len(fresh.Counts) || (e.Ratio == nil) != (fresh.Ratio == nil) || (e.Slices == nil) != (fresh.Slices == nil) ||
		(e.Candidate == nil) != (fresh.Candidate == nil) || (e.Baseline == nil) != (fresh.Baseline == nil) {
		return errors.New("it is that of another plan")
	}
	if e.Paired != nil && len(e.Paired) != len(fresh.Paired) {
		return fmt.Errorf("it has %d counts over slices of time: the plan wants %d", len(e.Paired), len(fresh.Paired))
	}
	var all []error
	if e.ByPlace != nil && (m.Kind != Differences || notFinite(*e.ByPlace)) {
		all = append(all, fmt.Errorf("by_place is %v", *e.ByPlace))
	}
	for _, c := range e.Counts {
		if c == nil {
			return errors.New("it has a gap")
		}
		all = append(all, c.Check())
	}
	for _, p := range e.Paired {
		if p == nil {
			return errors.New("its slices have a gap")
		}
		all = append(all, p.Check())
	}
	if e.Ratio != nil {
		all = append(all, e.Ratio.Check())
	}
	if e.Slices != nil {
		all = append(all, e.Slices.Check())
	}
	if e.Candidate != nil {
		all = append(all, e.Candidate.Check(), e.Baseline.Check())
	}
	return errors.Join(all...)
}
