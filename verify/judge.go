package verify

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// A Judge weighs one candidate against one baseline, through all steps of a rollout. It is a value: what [Judge.State] returns,
// written as JSON and given to [Resume], goes on where it was. It is not safe for concurrent use.
type Judge struct {
	plan  Plan
	state State
	by    map[string]int // the index in plan, by name
	of    []*Evidence    // of state, as plan has the metrics
	moved bool           // since Most was set
	total float64        // weight of all metrics
	parts []float64      // of each metric, the logarithm of its part of that
	log   float64        // LogE, once somebody asked
	known bool           // log is
}

// State is all that a Judge knows beside its plan.
type State struct {
	Start    time.Time            `json:"start"` // of both arms
	Last     time.Time            `json:"last"`  // the newest observation
	Evidence map[string]*Evidence `json:"evidence,omitempty"`
	// Split is the evidence that the traffic is not split as it was to be, since the last change of that, and SplitBefore the
	// logarithm of the e-value of all before.
	Split       *Shares  `json:"split,omitempty"`
	SplitBefore float64  `json:"split_before,omitempty"`
	SplitMost   float64  `json:"split_most,omitempty"`
	Most        float64  `json:"most,omitempty"`  // the largest log e-value of all metrics together
	Worse       *Verdict `json:"worse,omitempty"` // once it is said it stays said
}

// NewJudge is a judge of two arms that were started at start.
func NewJudge(p Plan, start time.Time) (*Judge, error) { return Resume(p, State{Start: start}) }

// Resume is a judge that goes on from s. A state of another plan is refused.
func Resume(p Plan, s State) (*Judge, error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("a plan that cannot be judged: %w", err)
	}
	p.Metrics = slices.Clone(p.Metrics)
	j := &Judge{plan: p, state: s, by: make(map[string]int, len(p.Metrics)), of: make([]*Evidence, len(p.Metrics))}
	if j.state.Evidence == nil {
		j.state.Evidence = make(map[string]*Evidence, len(p.Metrics))
	}
	var all []error
	for i := range p.Metrics {
		m := &p.Metrics[i]
		j.by[m.Name] = i
		e := j.state.Evidence[m.Name]
		if e == nil {
			e = newEvidence(m)
			j.state.Evidence[m.Name] = e
		} else if err := e.check(m); err != nil {
			all = append(all, fmt.Errorf("the evidence of %s: %w", m.Name, err))
		} else {
			e.adopt(m)
		}
		j.of[i] = e
		j.total += m.weight()
	}
	for i := range p.Metrics {
		j.parts = append(j.parts, math.Log(p.Metrics[i].weight()/j.total))
	}
	for name := range j.state.Evidence {
		if _, ok := j.by[name]; !ok {
			all = append(all, fmt.Errorf("there is evidence of %s, which the plan has not", name))
		}
	}
	if s.Split != nil {
		all = append(all, s.Split.Check())
	}
	if notFinite(s.SplitBefore) || notFinite(s.SplitMost) || math.IsNaN(s.Most) {
		all = append(all, errors.New("its e-values are no numbers"))
	}
	if err := errors.Join(all...); err != nil {
		return nil, fmt.Errorf("a state that cannot be resumed: %w", err)
	}
	return j, nil
}

// State is what the judge knows. It is shared with the judge: write it down before the next observation.
func (j *Judge) State() State {
	j.settle()
	for _, e := range j.of {
		e.settle()
	}
	return j.state
}

// Plan is what is judged, with the thresholds that were registered.
func (j *Judge) Plan() Plan { return j.plan }

// Register fixes the thresholds of a metric of kind [Latency] whose plan had none. What came before them has not counted, and so they
// may be taken from the baseline's first requests. They are fixed once.
func (j *Judge) Register(metric string, all []Threshold) error {
	i, ok := j.by[metric]
	if !ok {
		return unknown(metric)
	}
	m := &j.plan.Metrics[i]
	switch {
	case len(m.Thresholds) > 0:
		return fmt.Errorf("the thresholds of %s are fixed already: what was counted would be of others", metric)
	case len(all) == 0:
		return fmt.Errorf("there is no threshold to register for %s", metric)
	}
	with := *m
	with.Thresholds = slices.Clone(all)
	if err := with.Check(); err != nil {
		return fmt.Errorf("thresholds of %s: %w", metric, err)
	}
	*m = with
	j.known = false
	j.of[i] = newEvidence(m)
	j.state.Evidence[metric] = j.of[i]
	return nil
}

// ErrOld is an observation from before another one: of a clock that was set back, or one that comes for the second time.
var ErrOld = errors.New("it is older than what was counted already")

// Observe counts what both arms did up to at. What is refused changes nothing. Within the warm-up it is checked, and not counted.
func (j *Judge) Observe(at time.Time, metric string, s Sample) error {
	i, ok := j.by[metric]
	if !ok {
		return unknown(metric)
	}
	m := &j.plan.Metrics[i]
	if err := j.on(at); err != nil {
		return fmt.Errorf("an observation of %s at %s: %w", metric, at.Format(time.RFC3339), err)
	}
	if err := s.check(m); err != nil {
		return fmt.Errorf("an observation of %s: %w", metric, err)
	}
	if at.After(j.state.Last) {
		j.settle()
	}
	j.state.Last = at
	if j.warm(at) {
		j.of[i].add(m, at, &s)
		j.moved, j.known = true, false
	}
	return nil
}

func unknown(metric string) error { return fmt.Errorf("there is no metric %q in the plan", metric) }

// settle looks at what there is of an instant, once all of it is there.
func (j *Judge) settle() {
	if j.moved {
		j.state.Most, j.moved = max(j.state.Most, j.LogE()), false
	}
}

func (j *Judge) on(at time.Time) error {
	if at.Before(j.state.Last) || at.Before(j.state.Start) {
		return ErrOld
	}
	return nil
}

func (j *Judge) warm(at time.Time) bool { return at.Sub(j.state.Start) >= j.plan.WarmUp }

// Split declares which part of the traffic of both arms is to go to the candidate from now on, between 0 and 1. What was found
// under earlier splits keeps its weight.
func (j *Judge) Split(candidate float64) error {
	next := &Shares{Want: []float64{candidate, 1 - candidate}}
	if err := next.Check(); err != nil {
		return fmt.Errorf("a split that gives the candidate %v of the traffic: %w", candidate, err)
	}
	if old := j.state.Split; old != nil {
		if old.Want[0] == candidate {
			return nil
		}
		j.state.SplitBefore += old.LogE()
	}
	j.state.Split = next
	return nil
}

// Assigned counts requests, or of a sticky split users, that were given to the arms up to at.
func (j *Judge) Assigned(at time.Time, candidate, baseline int64) error {
	if j.state.Split == nil {
		return errors.New("nothing was declared to compare the assigned traffic with: call Split before")
	}
	if err := j.on(at); err != nil {
		return fmt.Errorf("assigned traffic at %s: %w", at.Format(time.RFC3339), err)
	}
	if err := j.state.Split.Add(candidate, baseline); err != nil {
		return fmt.Errorf("assigned traffic: %w", err)
	}
	j.state.SplitMost = max(j.state.SplitMost, j.state.SplitBefore+j.state.Split.LogE())
	return nil
}

// LogE is the logarithm of the e-value of all metrics: their weighted mean, which is an e-process whatever they have to do
// with each other.
func (j *Judge) LogE() float64 {
	if j.known {
		return j.log
	}
	most := math.Inf(-1)
	for i := range j.plan.Metrics {
		most = max(most, j.parts[i]+j.of[i].logE(&j.plan.Metrics[i], j.plan.alpha()))
	}
	j.log, j.known = most, true
	if math.IsInf(most, 0) {
		return most
	}
	sum := 0.0
	for i, part := range j.parts {
		sum += math.Exp(part + j.of[i].log - most)
	}
	j.log += math.Log(sum)
	return j.log
}

// mismatch reports whether the traffic is not split as declared.
func (j *Judge) mismatch() bool { return j.state.SplitMost >= -math.Log(DefaultMismatchAlpha) }
