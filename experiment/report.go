package experiment

import (
	"cmp"
	"math"
	"slices"
	"time"

	"semper/experiment/design"
	"semper/verify"
)

// Mismatched is the e-value at which users are found not to fall on the variants as declared: by chance once in so many experiments.
const Mismatched = 1000

// A Report is what is known at a time.
type Report struct {
	At       time.Time       `json:"at"`
	Outcome  Outcome         `json:"outcome"`
	Winner   string          `json:"winner,omitempty"`
	Why      string          `json:"why"` // one sentence
	Alpha    float64         `json:"alpha"`
	E        float64         `json:"e"`        // for "no variant differs in anything": at 1/Alpha one does
	Mismatch float64         `json:"mismatch"` // e-value for "users fall on variants as declared": at [Mismatched] they do not
	Variants []VariantReport `json:"variants"`
	Findings []Finding       `json:"findings"`
	Segments []Segment       `json:"segments,omitempty"`
	// Full says that users came after as many as are followed, Waiting how many users have values and no known exposure, Unknown how many
	// values were of users that there was no room for.
	Full    bool  `json:"full,omitempty"`
	Waiting int   `json:"waiting,omitempty"`
	Unknown int64 `json:"unknown,omitempty"`
	// Silent are the metrics of which no value but 0 has arrived, of any variant: they are no evidence for anything.
	Silent []string `json:"silent,omitempty"`
}

// Outcome is what a report comes to.
type Outcome string

// The outcomes.
const (
	Undecided Outcome = "undecided"
	Won       Outcome = "won"           // a variant is better by a primary metric, and worse by none that matters
	Kept      Outcome = "kept"          // the first variant is better than every other
	Same      Outcome = "no-difference" // whatever difference there is does not matter
	TooEarly  Outcome = "too-early"
	NoData    Outcome = "no-data"
	Mismatch  Outcome = "ratio-mismatch" // the variants' users may not be alike: nothing can be said
)

// Decided reports whether it says what follows.
func (o Outcome) Decided() bool { return o == Won || o == Kept || o == Same }

// VariantReport is one variant's users.
type VariantReport struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
	Users int64   `json:"users"` // that were exposed
}

// A Finding is how a variant compares with the first by one metric.
type Finding struct {
	Metric  string            `json:"metric"`
	Kind    design.MetricKind `json:"kind"`
	Role    design.MetricRole `json:"role"`
	Less    bool              `json:"less_is_better,omitempty"`
	Variant string            `json:"variant"`
	Control verify.Level      `json:"control"`
	Treated verify.Level      `json:"treated"`
	// Lift is the difference in parts of the first variant's mean, with its confidence sequence; nil where that is 0, or unknown.
	Lift *verify.Bounded `json:"lift,omitempty"`
	E    float64         `json:"e"`
	// Named says that e-BH names it: it differs, and Better in which way.
	Named  bool `json:"named,omitempty"`
	Better bool `json:"better,omitempty"`

	margin, weight float64
}

// Worse reports whether the variant is worse by it, and that is known.
func (f *Finding) Worse() bool { return f.Named && !f.Better }

// Reach is how far from 0 a picture of all findings' intervals goes, in parts of a mean: so far that those that are named fit in, and
// half of all others. Whichever says less ends at the edge of the picture, or it would hide what the others say.
func Reach(all []Finding) (reach float64) {
	var each []float64
	for i := range all {
		if l := all[i].Lift; l != nil {
			each = append(each, max(math.Abs(*l.Low), math.Abs(*l.High)))
			if all[i].Named {
				reach = max(reach, each[len(each)-1])
			}
		}
	}
	slices.Sort(each)
	if n := len(each); n > 0 {
		reach = max(reach, each[(n-1)/2])
	}
	return reach
}

// A Segment is the findings of the users of whom something is known. They are for looking, and decide nothing.
type Segment struct {
	Name     string    `json:"name"`
	Value    string    `json:"value"`
	Findings []Finding `json:"findings"`
}

// moments are those of one metric, by variant.
type moments [][]verify.Moments // metric, variant

func (s *State) moments() moments {
	m := make(moments, len(s.plan.Metrics))
	for i := range m {
		m[i] = make([]verify.Moments, len(s.plan.Variants))
	}
	return m
}

// Moments are those of each metric and each variant, over all users of whom an exposure is known.
func (s *State) Moments() [][]verify.Moments {
	m := s.moments()
	for i := range s.shards {
		for _, u := range s.shards[i].users {
			if u.variant >= 0 {
				m.add(&s.plan, u, math.MaxInt64)
			}
		}
	}
	return m
}

func (m moments) add(plan *design.Plan, u *user, now int64) {
	for i := range plan.Metrics {
		if within := plan.Metrics[i].Within.D().Milliseconds(); within == 0 || u.at+within <= now {
			m[i][u.variant].Add(u.sums[i])
		}
	}
}

// Report is what is known at now of a run that began at start.
func (s *State) Report(start, now time.Time) Report {
	r := Report{At: now, Alpha: s.plan.Alpha, Variants: make([]VariantReport, len(s.plan.Variants))}
	for i, v := range s.plan.Variants {
		r.Variants[i] = VariantReport{Name: v.Name, Share: v.Share}
	}
	all, at := s.moments(), now.UnixMilli()
	type place struct {
		segment int
		word    string
	}
	apart := make(map[place]moments)
	for i := range s.shards {
		h := &s.shards[i]
		r.Waiting += h.waiting
		r.Unknown += h.unknown
		for _, n := range h.leftOut {
			r.Full = r.Full || n > 0
		}
		for _, u := range h.users {
			if u.variant < 0 {
				continue
			}
			r.Variants[u.variant].Users++
			all.add(&s.plan, u, at)
			for segment, w := range u.words {
				if w == 0 {
					continue
				}
				p := place{segment, h.words[segment][w-1]}
				if apart[p] == nil {
					apart[p] = s.moments()
				}
				apart[p].add(&s.plan, u, at)
			}
		}
	}
	r.Findings = s.findings(all)
	r.Silent = s.silent(all)
	r.E = s.name(r.Findings)
	r.Mismatch = s.mismatch(r.Variants)
	s.conclude(&r, start)
	for p, m := range apart {
		r.Segments = append(r.Segments, Segment{Name: s.plan.Segments[p.segment], Value: p.word, Findings: s.findings(m)})
	}
	slices.SortFunc(r.Segments, func(a, b Segment) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value)) })
	return r
}

// silent are the metrics without a value.
func (s *State) silent(all moments) (names []string) {
	for i := range s.plan.Metrics {
		if !slices.ContainsFunc(all[i], func(m verify.Moments) bool { return m.Mean() != 0 }) {
			names = append(names, s.plan.Metrics[i].Name)
		}
	}
	return names
}

// tuning is that of each of the comparisons, which share alpha.
func (s *State) tuning() verify.Tuning {
	return verify.Tuning{Alpha: s.plan.Alpha / float64(len(s.plan.Metrics)*(len(s.plan.Variants)-1))}
}

// findings compare each variant with the first, by each metric.
func (s *State) findings(all moments) (out []Finding) {
	tuning := s.tuning()
	for i := range s.plan.Metrics {
		m := &s.plan.Metrics[i]
		control := all[i][0]
		for k := 1; k < len(s.plan.Variants); k++ {
			treated := all[i][k]
			f := Finding{
				Metric: m.Name, Kind: m.Kind, Role: m.Role, Less: m.Less, Variant: s.plan.Variants[k].Name, E: 1, margin: m.Margin, weight: m.Weight,
				Control: verify.Level{N: control.N, Mean: control.Mean()}, Treated: verify.Level{N: treated.N, Mean: treated.Mean()},
			}
			if control.N >= verify.MinMean && treated.N >= verify.MinMean {
				d := verify.Difference(treated, control)
				f.E = math.Exp(min(tuning.LogE(d), 700)) // a JSON number has no infinity
				f.Better = d.Value != 0 && d.Value < 0 == m.Less
				if lift, err := verify.Lift(treated, control); err == nil && lift.Error > 0 {
					low, high := tuning.Interval(lift)
					f.Lift = &verify.Bounded{Low: &low, Best: &lift.Value, High: &high}
				}
			}
			out = append(out, f)
		}
	}
	return out
}

// name names those that differ, by e-BH: with the e-values in falling order the first k, for the largest k whose k-th is at least
// n/(k·alpha). The result is the weighted mean of all.
func (s *State) name(all []Finding) (e float64) {
	order := make([]int, len(all))
	sum := 0.0
	for i := range all {
		order[i] = i
		e += all[i].weight * all[i].E
		sum += all[i].weight
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[b].E, all[a].E) })
	named := 0
	for k := range order {
		if all[order[k]].E >= float64(len(all))/(float64(k+1)*s.plan.Alpha) {
			named = k + 1
		}
	}
	for _, i := range order[:named] {
		all[i].Named = true
	}
	return e / sum
}

// mismatch is the evidence against the declared split. Of shares that leave somebody out it is that of those who take part.
func (s *State) mismatch(all []VariantReport) float64 {
	sum := 0.0
	for _, v := range all {
		sum += v.Share
	}
	x := verify.Shares{}
	for _, v := range all {
		x.Want, x.Counts = append(x.Want, v.Share/sum), append(x.Counts, v.Users)
	}
	if x.Check() != nil {
		return 0
	}
	return math.Exp(min(x.LogE(), 700))
}
