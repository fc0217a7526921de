package verify

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// An Outcome is what a verdict comes to.
type Outcome string

// The outcomes.
const (
	BetterOrEqual Outcome = "better-or-equal" // nothing speaks against the candidate, after all the time and requests that were asked for
	Worse         Outcome = "worse"           // it is worse than allowed, and chance does not explain that
	Undecided     Outcome = "undecided"       // neither, for a Cause
)

// A Cause is why a verdict is undecided.
type Cause string

// The causes. None of them is for the candidate or against it.
const (
	NoData   Cause = "no-data"        // an arm has not been seen, or a metric has not
	Mismatch Cause = "ratio-mismatch" // the traffic was not split as declared, so that the arms may not be alike
	TooEarly Cause = "too-early"      // the time or the requests that were asked for have not come yet
)

// Need is what a step asks for before it is passed.
type Need struct {
	Time     time.Duration `json:"time,omitempty"`     // since Since, or without that since the end of the warm-up
	Since    time.Time     `json:"since,omitzero"`     // when the step began
	Requests int64         `json:"requests,omitempty"` // of each arm, by the first metric that counts them, since the start
}

// A Verdict says what is known at a time, and by what evidence.
type Verdict struct {
	Outcome   Outcome   `json:"outcome"`
	Cause     Cause     `json:"cause,omitempty"`
	Why       string    `json:"why"` // one sentence
	At        time.Time `json:"at"`
	E         float64   `json:"e"`         // the e-value of all metrics together; at Threshold it is worse
	Threshold float64   `json:"threshold"` // 1/alpha
	Findings  []Finding `json:"findings"`  // one for each metric of the plan, in its order
}

// A Finding is what is known by one metric.
type Finding struct {
	Metric    string   `json:"metric"`
	Kind      Kind     `json:"kind"`
	Threshold string   `json:"threshold,omitempty"` // of Latency: the one that speaks loudest
	Candidate Arm      `json:"candidate,omitzero"`
	Baseline  Arm      `json:"baseline,omitzero"`
	Values    []Level  `json:"values,omitempty"` // of Gauge and Mean: the candidate's and the baseline's
	E         float64  `json:"e"`
	Ratio     *Bounded `json:"ratio,omitempty"` // the candidate's to the baseline's; of Mean the difference, in parts of the baseline's
	Allowed   float64  `json:"allowed"`         // the margin
	Named     bool     `json:"named,omitempty"` // it is one of those that make the verdict worse
	Data      bool     `json:"data"`
	ByPlace   bool     `json:"by_place,omitempty"` // of Differences: E is that of the places, and not of the responses
}

// A Level is a mean of n values.
type Level struct {
	N    int64   `json:"n"`
	Mean float64 `json:"mean"`
}

// Bounded is a number and the interval in which it is, at all times at once. An end that is not known is nil.
type Bounded struct {
	Low  *float64 `json:"low,omitempty"`
	Best *float64 `json:"best,omitempty"`
	High *float64 `json:"high,omitempty"`
}

func bounded(low, best, high float64) *Bounded {
	known := func(x float64) *float64 {
		if notFinite(x) {
			return nil
		}
		return &x
	}
	return &Bounded{known(low), known(best), known(high)}
}

// Verdict is what is known at at. A candidate that was once found worse stays so.
func (j *Judge) Verdict(at time.Time, need Need) Verdict {
	if j.state.Worse != nil {
		return *j.state.Worse
	}
	v := Verdict{At: at, E: finite(math.Exp(j.LogE())), Threshold: 1 / j.plan.alpha(), Findings: j.findings()}
	var why words
	v.Outcome, v.Cause, why = j.outcome(at, need)
	v.Why = why(v.Findings)
	if v.Outcome == Worse {
		j.state.Worse = &v
	}
	return v
}

// Outcome is what [Judge.Verdict] comes to, without the findings and the intervals that explain it: what is asked each second of many metrics,
// where a verdict is for whoever wants to know why.
func (j *Judge) Outcome(at time.Time, need Need) (Outcome, Cause) {
	if j.state.Worse != nil {
		return Worse, ""
	}
	o, cause, _ := j.outcome(at, need)
	return o, cause
}

// words make the sentence of a verdict out of its findings.
type words func(all []Finding) string

func (j *Judge) outcome(at time.Time, need Need) (Outcome, Cause, words) {
	j.settle()
	switch {
	case j.mismatch():
		return Undecided, Mismatch, func([]Finding) string {
			s := j.state.Split
			return fmt.Sprintf("the traffic is not split as declared: the candidate was to get %s of it and got %s", percent(s.Want[0]), got(s))
		}
	case j.state.Most >= -math.Log(j.plan.alpha()):
		return Worse, "", j.name
	}
	return j.open(at, need)
}

// open is the outcome when nothing speaks against the candidate.
func (j *Judge) open(at time.Time, need Need) (Outcome, Cause, words) {
	for i, e := range j.of {
		if !j.plan.Metrics[i].Optional && !e.data() {
			return Undecided, NoData, func(all []Finding) string {
				return fmt.Sprintf("%s has no data of %s: nothing can be said without", all[i].Metric, all[i].missing())
			}
		}
	}
	for i, e := range j.of {
		if m := &j.plan.Metrics[i]; m.paired() && e.suspect(m, -math.Log(j.plan.alpha())-j.parts[i]) {
			return Undecided, TooEarly, func(all []Finding) string {
				return fmt.Sprintf("%s, but within too little time to tell a burst from a release that is worse: slices of %v will tell", all[i], DefaultSlice)
			}
		}
	}
	since := j.state.Start.Add(j.plan.WarmUp)
	if need.Since.After(since) {
		since = need.Since
	}
	if left := need.Time - at.Sub(since); left > 0 {
		return Undecided, TooEarly, func([]Finding) string {
			return fmt.Sprintf("nothing speaks against the candidate, but %v of %v are still to come", left.Round(time.Second), need.Time)
		}
	}
	if i := slices.IndexFunc(j.of, func(e *Evidence) bool { return len(e.Counts) > 0 && e.data() }); i >= 0 {
		if t := &j.of[i].Counts[0].Total; min(t.Candidate.Requests, t.Baseline.Requests) < need.Requests {
			return Undecided, TooEarly, func(all []Finding) string {
				return fmt.Sprintf("nothing speaks against the candidate, but %s has %d requests of the candidate and %d of the baseline, and %d of each are asked for",
					all[i].Metric, t.Candidate.Requests, t.Baseline.Requests, need.Requests)
			}
		}
	}
	return BetterOrEqual, "", func(all []Finding) string {
		return "nothing speaks against the candidate: " + strings.Join(j.sure(all), "; ")
	}
}

// maxSure is how many metrics the sentence of a verdict names.
const maxSure = 5

// sure says of the metrics with most evidence how much worse they can still be.
func (j *Judge) sure(all []Finding) []string {
	var with []int
	for i := range all {
		if all[i].Data {
			with = append(with, i)
		}
	}
	more := len(with) - maxSure
	if more > 0 {
		slices.SortStableFunc(with, func(a, b int) int { return cmp.Compare(all[b].E, all[a].E) })
		with = with[:maxSure]
	}
	var s []string
	for _, i := range with {
		s = append(s, all[i].String())
	}
	if more > 0 {
		s = append(s, fmt.Sprintf("and of %d more", more))
	}
	return s
}

// findings are those of all metrics.
func (j *Judge) findings() []Finding {
	all := make([]Finding, 0, len(j.plan.Metrics))
	for i := range j.plan.Metrics {
		m := &j.plan.Metrics[i]
		all = append(all, j.of[i].finding(m, j.plan.alpha()))
	}
	return all
}

func (e *Evidence) finding(m *Metric, alpha float64) Finding {
	f := Finding{Metric: m.Name, Kind: m.Kind, E: finite(math.Exp(e.logE(m, alpha))), Allowed: m.margin(), Data: e.data(), ByPlace: e.ByPlace != nil}
	switch m.Kind {
	case Gauge:
		f.Values = levels(e)
		if b := e.Baseline.Mean(); b != 0 {
			f.Ratio = bounded(math.NaN(), e.Candidate.Mean()/b, math.NaN())
		}
	case Mean:
		f.Values = levels(e)
		if l, err := Lift(*e.Candidate, *e.Baseline); err == nil && e.enough() {
			low, high := Tuning{Alpha: alpha}.Interval(l)
			f.Ratio = bounded(low, l.Value, high)
		}
	case Latency:
		if len(e.Counts) == 0 {
			break
		}
		loudest := 0
		loud := func(i int) float64 { return min(e.Counts[i].LogE(), e.Paired[i].LogE()) }
		for i := range e.Counts {
			if loud(i) > loud(loudest) {
				loudest = i
			}
		}
		f.Threshold = m.Thresholds[loudest].Name
		f.Candidate, f.Baseline = e.Counts[loudest].Total.Candidate, e.Counts[loudest].Total.Baseline
	default:
		f.Candidate, f.Baseline = e.Counts[0].Total.Candidate, e.Counts[0].Total.Baseline
		if e.interval == nil {
			e.settle()
			e.interval = bounded(e.Ratio.Interval(alpha))
		}
		f.Ratio = e.interval
	}
	return f
}

func levels(e *Evidence) []Level {
	return []Level{{e.Candidate.N, e.Candidate.Mean()}, {e.Baseline.N, e.Baseline.Mean()}}
}

// name marks those findings that make the verdict worse, and says so in a sentence. They are those whose own part of the budget
// is used up, and if that is none the one with most evidence: together they were enough.
func (j *Judge) name(all []Finding) string {
	loudest := 0
	weighed := func(i int) float64 { return all[i].E * j.plan.Metrics[i].weight() / j.total }
	var named []string
	for i := range all {
		if weighed(i) > weighed(loudest) {
			loudest = i
		}
	}
	for i := range all {
		if i == loudest || weighed(i) >= 1/j.plan.alpha() {
			all[i].Named = true
			named = append(named, all[i].String())
		}
	}
	return "the candidate is worse: " + strings.Join(named, "; ")
}

// String is the finding in words.
func (f Finding) String() string {
	switch f.Kind {
	case Latency:
		return fmt.Sprintf("%s: slower than the baseline's %s are %s of the candidate's requests and %s of the baseline's", f.Metric, f.Threshold, f.Candidate, f.Baseline)
	case Gauge:
		return fmt.Sprintf("%s is %.4g on the candidate and %.4g on the baseline", f.Metric, f.Values[0].Mean, f.Values[1].Mean)
	case Mean:
		return fmt.Sprintf("%s is %.4g per user of the candidate and %.4g of the baseline%s", f.Metric, f.Values[0].Mean, f.Values[1].Mean, f.Ratio.words("", "a lift of "))
	case Differences:
		if f.ByPlace {
			return fmt.Sprintf("%s in %d responses, place by place", f.Metric, f.Candidate.Requests)
		}
		return fmt.Sprintf("%s: %d of %d responses differ for the candidate alone, %d for the baseline's own copy alone", f.Metric, f.Candidate.Bad, f.Candidate.Requests, f.Baseline.Bad)
	}
	return fmt.Sprintf("%s: %s of the candidate and %s of the baseline%s", f.Metric, f.Candidate, f.Baseline, f.Ratio.words(" times as many", ""))
}

// String is how many of how many were bad.
func (a Arm) String() string {
	if a.Requests == 0 {
		return "0 of 0"
	}
	return fmt.Sprintf("%d of %d (%s)", a.Bad, a.Requests, percent(float64(a.Bad)/float64(a.Requests)))
}

func (b *Bounded) words(unit, before string) string {
	switch {
	case b == nil:
		return ""
	case b.Low != nil && b.High != nil:
		return fmt.Sprintf(", %s%.3g to %.3g%s", before, *b.Low, *b.High, unit)
	case b.Low != nil && *b.Low > 0:
		return fmt.Sprintf(", %sat least %.3g%s", before, *b.Low, unit)
	}
	return ""
}

// missing says whose data there are not.
func (f Finding) missing() string {
	c, b := f.Candidate.Requests, f.Baseline.Requests
	if f.Values != nil {
		c, b = f.Values[0].N, f.Values[1].N
	}
	switch {
	case c == 0 && b == 0:
		return "either release"
	case c == 0:
		return "the candidate"
	}
	return "the baseline"
}

func got(s *Shares) string {
	if s.Counts == nil || s.Counts[0]+s.Counts[1] == 0 {
		return "something else before"
	}
	return percent(float64(s.Counts[0]) / float64(s.Counts[0]+s.Counts[1]))
}

func percent(x float64) string { return fmt.Sprintf("%.3g %%", 100*x) }

// finite bounds an e-value to what JSON can hold.
func finite(x float64) float64 { return min(x, math.MaxFloat64) }
