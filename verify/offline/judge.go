package offline

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"semper/internal/nearest"
	"semper/verify"
)

// Settings say how the rows are judged. The metrics are those of the rows.
type Settings struct {
	Alpha   float64
	WarmUp  time.Duration
	Need    verify.Need
	Margins map[string]float64 // by metric
	Weights map[string]float64 // by metric
	Less    []string           // metrics of which less is worse
	Split   float64            // the candidate's declared part of the traffic; 0: not compared
}

// Judge reads all rows and gives the verdict after each time in them to tell, which may end it by an error.
func Judge(r io.Reader, s Settings, tell func(verify.Verdict) error) error {
	var rows []Row
	if err := Read(r, func(row Row) error {
		if n := len(rows); n > 0 && row.At.Before(rows[n-1].At) {
			return fmt.Errorf("time %s is before that of the line above: sort the rows by time", row.At.Format(time.RFC3339))
		}
		rows = append(rows, row)
		return nil
	}); err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("there are no rows")
	}
	plan, err := s.plan(rows)
	if err != nil {
		return err
	}
	j, err := verify.NewJudge(plan, rows[0].At)
	if err != nil {
		return err
	}
	if s.Split != 0 {
		if err := j.Split(s.Split); err != nil {
			return err
		}
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].At.Equal(rows[0].At) {
			n++
		}
		if err := s.observe(j, plan, rows[:n]); err != nil {
			return err
		}
		if err := tell(j.Verdict(rows[0].At, s.Need)); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// plan has the metrics of rows, in the order in which they come.
func (s *Settings) plan(rows []Row) (verify.Plan, error) {
	p := verify.Plan{Alpha: s.Alpha, WarmUp: s.WarmUp}
	at := map[string]int{}
	for _, r := range rows {
		i, ok := at[r.Metric]
		if !ok {
			i = len(p.Metrics)
			at[r.Metric] = i
			p.Metrics = append(p.Metrics, verify.Metric{
				Name: r.Metric, Kind: r.Kind, Margin: s.Margins[r.Metric], Weight: s.Weights[r.Metric], LessIsWorse: slices.Contains(s.Less, r.Metric),
			})
		}
		m := &p.Metrics[i]
		if m.Kind != r.Kind {
			return p, fmt.Errorf("line %d: %s is of kind %s here, and was of kind %s before", r.Line, r.Metric, r.Kind, m.Kind)
		}
		if r.Kind == verify.Latency && !slices.ContainsFunc(m.Thresholds, func(t verify.Threshold) bool { return t.Name == r.Threshold }) {
			// The requests were counted against it by whoever wrote the rows: what it was does not matter here.
			m.Thresholds = append(m.Thresholds, verify.Threshold{Name: r.Threshold, At: 1, Weight: weight(r.Threshold)})
		}
	}
	return p, s.known(at)
}

func weight(threshold string) float64 {
	for _, q := range verify.QuantileWeights {
		if q.Name == threshold {
			return q.Weight
		}
	}
	return .2
}

// known refuses settings for metrics that no row has.
func (s *Settings) known(metrics map[string]int) error {
	var all, names []string
	for name := range metrics {
		all = append(all, name)
	}
	slices.Sort(all)
	for name := range s.Margins {
		names = append(names, name)
	}
	for name := range s.Weights {
		names = append(names, name)
	}
	for _, name := range slices.Concat(names, s.Less) {
		if _, ok := metrics[name]; ok {
			continue
		}
		if n := nearest.To(name, all); n != "" {
			return fmt.Errorf("no row has a metric %q: did you mean %q?", name, n)
		}
		return fmt.Errorf("no row has a metric %q: there are %s", name, strings.Join(all, ", "))
	}
	return nil
}

// observe gives j the rows of one time.
func (s *Settings) observe(j *verify.Judge, plan verify.Plan, rows []Row) error {
	var assigned [2]int64
	for i := range plan.Metrics {
		m := &plan.Metrics[i]
		var both [2][]Row
		for _, r := range rows {
			if r.Metric == m.Name {
				both[arm(r)] = append(both[arm(r)], r)
			}
		}
		if both[0] == nil && both[1] == nil {
			continue
		}
		sample, err := sample(m, both)
		if err != nil {
			return err
		}
		if sample.Counts != nil && assigned == [2]int64{} && m.Kind != verify.Differences {
			assigned = [2]int64{sample.Counts[0].Candidate.Requests, sample.Counts[0].Baseline.Requests}
		}
		if err := j.Observe(rows[0].At, m.Name, sample); err != nil {
			return fmt.Errorf("line %d: %w", slices.Concat(both[0], both[1])[0].Line, err)
		}
	}
	if s.Split != 0 && assigned != [2]int64{} {
		return j.Assigned(rows[0].At, assigned[0], assigned[1])
	}
	return nil
}

func arm(r Row) int {
	if r.Candidate {
		return 0
	}
	return 1
}

// sample is what the rows of a metric and a time say: the candidate's and the baseline's.
func sample(m *verify.Metric, both [2][]Row) (s verify.Sample, err error) {
	switch m.Kind {
	case verify.Mean:
		var moments [2]verify.Moments
		for i, rows := range both {
			for _, r := range rows {
				moments[i].Merge(r.Moments)
			}
		}
		s.Moments = &moments
		return s, nil
	case verify.Gauge:
		c, b, err := pair(m, both, "")
		s.Values = &[2]float64{c.Value, b.Value}
		return s, err
	case verify.Latency:
		for _, t := range m.Thresholds {
			c, b, err := pair(m, both, t.Name)
			if err != nil {
				return s, err
			}
			s.Counts = append(s.Counts, verify.Batch{Candidate: c.Arm, Baseline: b.Arm})
		}
		return s, nil
	}
	c, b, err := pair(m, both, "")
	s.Counts = []verify.Batch{{Candidate: c.Arm, Baseline: b.Arm}}
	return s, err
}

// pair are the two rows that belong together.
func pair(m *verify.Metric, both [2][]Row, threshold string) (candidate, baseline Row, err error) {
	var found [2]Row
	for i, rows := range both {
		n := 0
		for _, r := range rows {
			if r.Threshold == threshold {
				found[i] = r
				n++
			}
		}
		if n != 1 {
			all := slices.Concat(both[0], both[1])
			at := all[len(all)-1]
			what := m.Name
			if threshold != "" {
				what += " at threshold " + threshold
			}
			return found[0], found[1], fmt.Errorf("line %d: at %s there are %d rows of %s for the %s, and not one", at.Line, at.At.Format(time.RFC3339), n, what, []string{armCandidate, armBaseline}[i])
		}
	}
	return found[0], found[1], nil
}
