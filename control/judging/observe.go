package judging

import (
	"fmt"
	"math"
	"time"

	"semper"
	"semper/edge/sketch"
	"semper/verify"
)

const (
	// enoughOld is how many requests of the current release make thresholds at once, and someOld how many do after patience.
	enoughOld = 500
	someOld   = 100
	patience  = 30 * time.Second
)

// register fixes the latency thresholds once the current release has had requests enough. old are its latencies. The requests of this
// look do not count: some of them may be what the thresholds were taken from.
func (j *Judge) register(l Look, old sketch.Counts) error {
	if len(j.metric(metricLatency).Thresholds) > 0 {
		return nil
	}
	n := old.Count()
	if n < someOld || n < enoughOld && l.At.Sub(j.with.State().Start) < patience {
		return nil
	}
	var all []verify.Threshold
	for _, q := range verify.QuantileWeights {
		at := max(sketch.Ceil(old.Quantile(q.Quantile)), time.Microsecond)
		if k := len(all) - 1; k >= 0 && all[k].At == at {
			all[k].Weight += q.Weight
			continue
		}
		all = append(all, verify.Threshold{Name: q.Name, At: at, Weight: q.Weight})
	}
	j.r.Registered = l.At
	return j.with.Register(metricLatency, all)
}

// metric is one of the plan, with what was registered; the zero Metric if the plan has none.
func (j *Judge) metric(name string) verify.Metric {
	for _, m := range j.with.Plan().Metrics {
		if m.Name == name {
			return m
		}
	}
	return verify.Metric{}
}

// observe gives package verify what was read.
func (j *Judge) observe(l Look, pairs []pair, compared []verify.Batch) (problems []error) {
	r := &j.r
	see := func(metric string, s verify.Sample) {
		if err := j.with.Observe(l.At, metric, s); err != nil {
			problems = append(problems, err)
		}
	}
	latency := j.metric(metricLatency)
	counting := len(latency.Thresholds) > 0 && l.At.After(r.Registered)
	worth := r.worth()
	var assigned [2]int64
	for i := range pairs {
		p := &pairs[i]
		if b := r.errorBatch(p); b != (verify.Batch{}) {
			see(r.errors(), verify.Sample{Counts: []verify.Batch{b}})
		}
		if counting && p.candidate.latency.Count()+p.baseline.latency.Count() > 0 {
			see(metricLatency, verify.Sample{Counts: r.slow(&latency, p, worth)})
		}
		if r.sticky() {
			assigned[0] += p.candidate.users
			assigned[1] += p.baseline.users
		} else {
			assigned[0] += p.candidate.assigned
			assigned[1] += p.baseline.assigned
		}
	}
	if m := l.Memory; m != nil && r.Against == semper.BaselineFresh && !l.Watch {
		see(metricMemory, verify.Sample{Values: &[2]float64{m[0] / (1 << 20), m[1] / (1 << 20)}})
	}
	for _, b := range compared {
		if r.Shadow {
			e := r.Shadowed.Board.LogE()
			see(metricDifferences, verify.Sample{Counts: []verify.Batch{b}, ByPlace: &e})
		}
	}
	problems = append(problems, j.means(l)...)
	if err := j.split(l, assigned); err != nil {
		problems = append(problems, err)
	}
	return problems
}

// means counts the values that were pushed since the last look. Those of a step with copies of requests are of no client.
func (j *Judge) means(l Look) (problems []error) {
	r := &j.r
	for _, m := range r.Judge.Metrics {
		all, ok := l.Means[m.Name]
		if !ok || l.alone() {
			continue
		}
		var news [2]verify.Moments
		was, grew := r.Means[m.Name], true
		for i := range all {
			news[i] = verify.Moments{N: all[i].N - was[i].N, Sum: all[i].Sum - was[i].Sum, Squares: all[i].Squares - was[i].Squares}
			grew = grew && news[i].N >= 0
		}
		if r.Means == nil {
			r.Means = make(map[string][2]verify.Moments)
		}
		r.Means[m.Name] = all
		switch {
		case !grew:
			problems = append(problems, fmt.Errorf("values of %s went from %d and %d to %d and %d: they only grow", m.Name, was[0].N, was[1].N, all[0].N, all[1].N))
		case news[0].N+news[1].N > 0 && l.Step.Kind != semper.StepShadow:
			if err := j.with.Observe(l.At, m.Name, verify.Sample{Moments: &news}); err != nil {
				problems = append(problems, err)
			}
		}
	}
	return problems
}

// errorBatch is what failed in a stratum. Users who stay are compared by how many were at risk. Against the stable release these are not
// known, as users leave it for the candidate at each step: there requests stand for how much the users of an arm were at risk.
func (r *Record) errorBatch(p *pair) verify.Batch {
	arm := func(d *moved) verify.Arm {
		switch {
		case !r.sticky():
			return verify.Arm{Requests: d.requests, Bad: d.failed}
		case r.Against == semper.BaselineStable:
			return verify.Arm{Requests: d.users, Bad: d.hurt, AtRisk: max(d.requests, d.hurt)}
		}
		return verify.Arm{Requests: d.users, Bad: d.hurt, AtRisk: d.risk}
	}
	b := verify.Batch{Candidate: arm(&p.candidate), Baseline: arm(&p.baseline)}
	if b.Candidate.Requests+b.Candidate.Bad+b.Baseline.Requests+b.Baseline.Bad == 0 {
		return verify.Batch{}
	}
	return b
}

// worth is how many requests count as one: 1, and where users stay as many as a user makes in the mean. If all requests of a user
// are slow for the same reason, then that is one reason.
func (r *Record) worth() float64 {
	if !r.sticky() {
		return 1
	}
	var requests, users uint64
	for _, s := range r.Steps {
		if s.Step.Kind == semper.StepShadow {
			continue // copies are no user's
		}
		requests += uint64(s.Candidate.Requests + s.Baseline.Requests)
		users += uint64(s.Candidate.Users + s.Baseline.Users)
	}
	if users == 0 {
		return 1 // nobody has a key: chance spreads requests
	}
	return max(1, float64(requests)/float64(users))
}

// slow is how many requests of a stratum were slower than each threshold.
func (r *Record) slow(m *verify.Metric, p *pair, worth float64) []verify.Batch {
	all := make([]verify.Batch, len(m.Thresholds))
	arms := [2][]int64{make([]int64, 1+len(all)), make([]int64, 1+len(all))} // requests, and slow ones by threshold
	arms[0][0], arms[1][0] = int64(p.candidate.latency.Count()), int64(p.baseline.latency.Count())
	for i, t := range m.Thresholds {
		arms[0][1+i] = int64(p.candidate.latency.Above(r.Limit(t)))
		arms[1][1+i] = int64(p.baseline.latency.Above(t.At))
	}
	if r.sticky() {
		for a := range arms {
			r.Rest[a] = whole(arms[a], r.Rest[a], worth)
		}
	}
	for i := range all {
		all[i].Candidate = verify.Arm{Requests: arms[0][0], Bad: min(arms[0][1+i], arms[0][0])}
		all[i].Baseline = verify.Arm{Requests: arms[1][0], Bad: min(arms[1][1+i], arms[1][0])}
	}
	return all
}

// whole divides counts by worth. What is left of a whole one is the rest, which comes with the next ones.
func whole(counts []int64, rest []float64, worth float64) []float64 {
	if len(rest) != len(counts) {
		rest = make([]float64, len(counts))
	}
	for i, n := range counts {
		x := rest[i] + float64(n)/worth
		counts[i] = int64(math.Floor(x))
		rest[i] = x - math.Floor(x)
	}
	return rest
}

// split holds the traffic against what was declared. An interval that began before every edge had the step's shares says nothing of
// them. Of users against a stable release only the first share does: later ones find users who were seen before.
func (j *Judge) split(l Look, assigned [2]int64) error {
	r := &j.r
	candidate := l.Share
	baseline := 1 - l.Share
	if r.Against == semper.BaselineFresh {
		baseline = min(baseline, candidate)
	}
	if l.Watch || candidate <= 0 || baseline <= 0 || l.Since.IsZero() || r.Looked.Before(l.Since) || assigned == [2]int64{} {
		return nil
	}
	part := candidate / (candidate + baseline)
	if s := j.with.State().Split; s != nil && s.Want[0] != part && r.sticky() && r.Against == semper.BaselineStable {
		return nil
	}
	if err := j.with.Split(part); err != nil {
		return err
	}
	return j.with.Assigned(l.At, assigned[0], assigned[1])
}
