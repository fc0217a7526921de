package experiment

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"semper/experiment/design"
	"semper/verify"
)

// conclude says what r comes to.
func (s *State) conclude(r *Report, start time.Time) {
	r.Outcome = Undecided
	least := int64(math.MaxInt64)
	for _, v := range r.Variants {
		least = min(least, v.Users)
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Role == design.RolePrimary {
			least = min(least, f.Control.N, f.Treated.N)
		}
	}
	left := start.Add(s.plan.AtLeast.D()).Sub(r.At)
	switch {
	case r.Mismatch >= Mismatched:
		r.Outcome, r.Why = Mismatch, "users do not fall on the variants as declared ("+split(r.Variants)+"): they may not be alike, and nothing can be concluded"
	case least == 0:
		r.Outcome, r.Why = NoData, s.missing(r)
	case s.unheard(r):
		r.Outcome, r.Why = NoData, "no value of "+strings.Join(r.Silent, ", ")+" has arrived yet: who counts it has to push it"
	case least < verify.MinMean:
		r.Outcome, r.Why = TooEarly, fmt.Sprintf("a variant has %d users, of the %d that it takes", least, verify.MinMean)
	case left > 0:
		r.Outcome, r.Why = TooEarly, fmt.Sprintf("nothing is concluded for another %s, so that every kind of day is in it", round(left))
	default:
		s.compare(r)
	}
}

// missing says what keeps a variant from having users.
func (s *State) missing(r *Report) string {
	for _, v := range r.Variants {
		if v.Users == 0 {
			return "nobody has been seen with " + v.Name + " yet"
		}
	}
	return "a variant has no user yet whose time for a primary metric is over"
}

// unheard reports whether nothing that decides has ever had a value.
func (s *State) unheard(r *Report) bool {
	for i := range s.plan.Metrics {
		if m := &s.plan.Metrics[i]; m.Role == design.RolePrimary && !slices.Contains(r.Silent, m.Name) {
			return false
		}
	}
	return true
}

// compare is conclude where there is enough to go by.
func (s *State) compare(r *Report) {
	var best *Finding
	lost, same := 0, 0
	var barred []string
	for _, v := range s.plan.Variants[1:] {
		c := candidate(r.Findings, v.Name)
		switch {
		case c.lost != nil && c.won == nil:
			lost++
		case c.won != nil && c.lost == nil && c.barred == nil:
			if best == nil || gain(c.won) > gain(best) {
				best = c.won
			}
		case c.won != nil:
			barred = append(barred, fmt.Sprintf("%s is better by %s and worse by %s", v.Name, c.won.Metric, orElse(c.barred, c.lost).Metric))
		case c.same:
			same++
		}
	}
	switch others := len(s.plan.Variants) - 1; {
	case best != nil:
		r.Outcome, r.Winner, r.Why = Won, best.Variant, best.sentence(s.plan.Variants[0].Name)
	case lost == others:
		r.Outcome, r.Winner = Kept, s.plan.Variants[0].Name
		for i := range r.Findings {
			if f := &r.Findings[i]; f.Role == design.RolePrimary && f.Worse() {
				r.Why = f.sentence(s.plan.Variants[0].Name)
				break
			}
		}
	case len(barred) > 0:
		r.Why = strings.Join(barred, "; ") + ": that is for people to weigh"
	case lost+same == others:
		r.Outcome, r.Winner = Same, s.plan.Variants[0].Name
		r.Why = "no variant differs from " + s.plan.Variants[0].Name + " by as much as matters"
	default:
		r.Why = "nothing that decides differs for sure"
	}
}

// standing is what is known of one variant.
type standing struct {
	won, lost *Finding // by a primary metric
	barred    *Finding // by a guardrail
	same      bool     // by all primary metrics, within their margins
}

func candidate(all []Finding, variant string) (c standing) {
	c.same = true
	for i := range all {
		f := &all[i]
		if f.Variant != variant {
			continue
		}
		switch {
		case f.Role == design.RoleGuardrail && f.Worse():
			c.barred = f
		case f.Role != design.RolePrimary:
			continue
		case f.Named && f.Better && (c.won == nil || gain(f) > gain(c.won)):
			c.won = f
		case f.Worse():
			c.lost = f
		}
		c.same = c.same && (f.Role != design.RolePrimary || f.within())
	}
	return c
}

// within reports whether the whole interval is within the margin.
func (f *Finding) within() bool {
	return f.margin > 0 && f.Lift != nil && *f.Lift.Low > -f.margin && *f.Lift.High < f.margin
}

// gain is by how much the variant is better.
func gain(f *Finding) float64 {
	d := f.Treated.Mean - f.Control.Mean
	if f.Control.Mean != 0 {
		d /= math.Abs(f.Control.Mean)
	}
	if f.Less {
		return -d
	}
	return d
}

func orElse(a, b *Finding) *Finding {
	if a != nil {
		return a
	}
	return b
}

// sentence says it for a person: "green has 4.1 % more revenue per user than control (1.2 % to 7.0 %; 12400 users)".
func (f *Finding) sentence(control string) string {
	what := map[design.MetricKind]string{
		design.MetricSum: f.Metric + " per user", design.MetricCount: f.Metric + " per user", design.MetricConversion: "users with " + f.Metric,
	}[f.Kind]
	word := "more"
	if f.Treated.Mean < f.Control.Mean {
		word = "less"
	}
	n := f.Control.N + f.Treated.N
	if f.Lift == nil {
		return fmt.Sprintf("%s has %s %s than %s: %.4g against %.4g, by %d users", f.Variant, word, what, control, f.Treated.Mean, f.Control.Mean, n)
	}
	low, high := *f.Lift.Low, *f.Lift.High
	return fmt.Sprintf("%s has %.1f %% %s %s than %s (%+.1f %% to %+.1f %%, by %d users)", f.Variant, 100*math.Abs(*f.Lift.Best), word, what, control, 100*low, 100*high, n)
}

// split is how many users each variant has.
func split(all []VariantReport) string {
	words := make([]string, len(all))
	for i, v := range all {
		words[i] = fmt.Sprintf("%s %d", v.Name, v.Users)
	}
	return strings.Join(words, ", ")
}

// round is a time with as many places as matter.
func round(d time.Duration) string {
	switch {
	case d > 48*time.Hour:
		return fmt.Sprintf("%d days", int(math.Ceil(d.Hours()/24)))
	case d > time.Minute:
		return d.Round(time.Minute).String()
	}
	return d.Round(time.Second).String()
}
