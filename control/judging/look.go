package judging

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/edge/mirror/told"
	"semper/edge/sketch"
	"semper/verify"
)

// A Look is everything that is known at one moment.
type Look struct {
	At    time.Time
	Index int         // of the step, as [semper.Trial] counts them
	Step  semper.Step // zero beyond the last
	Share float64     // the candidate's now, of all requests
	// Since is when every edge had taken the step's route table; zero while some have not.
	Since time.Time
	// Against is what the candidate is compared with now: a fresh baseline may be given up.
	Against semper.Baseline
	// Silent says that an edge did not answer, and what it did is missing yet.
	Silent bool
	// Watch says that the candidate has all the traffic.
	Watch bool
	// Counts are what edges say. Those of other apps and rollouts are passed over.
	Counts []semper.ArmCounts
	// Memory is resident memory in bytes per instance, the candidate's and the baseline's; nil when it was not read.
	Memory *[2]float64
	// Means are all values that instances have pushed so far, by metric, the candidate's first. They only grow.
	Means map[string][2]verify.Moments
	// Shadows are what edges have compared of copies of requests. Those of other rollouts are passed over.
	Shadows []told.Counts
}

// A stratum is what is compared with itself: one edge and one pool.
type stratum struct {
	edge string
	pool semper.PoolKey
}

// pair is what the arms did in a stratum.
type pair struct {
	stratum
	candidate, baseline moved
}

// Look takes what was observed and says what is known now. The errors name what was refused: it has changed nothing, and what the rest
// says stands.
func (j *Judge) Look(l Look) (semper.Verdict, error) {
	r := &j.r
	if l.At.Before(r.Looked) {
		return j.stopped(l), fmt.Errorf("the clock was set back from %s to %s: nothing is counted until it is there again", r.Looked.Format(time.RFC3339), l.At.Format(time.RFC3339))
	}
	if l.Against == semper.BaselineStable {
		r.Against = l.Against // and never back: the fresh one would be younger
	}
	j.enter(l)
	pairs, tail, problems := j.read(l)
	compared, refused := j.compare(l)
	problems = append(problems, refused...)
	problems = append(problems, j.observe(l, pairs, compared)...)
	sum := pair{}
	for i := range pairs {
		sum.candidate.add(pairs[i].candidate)
		sum.baseline.add(pairs[i].baseline)
	}
	if l.Watch {
		sum.candidate.add(tail) // and what was under way at the cutover
	}
	j.count(l, &sum, compared)
	v := j.verdict(l)
	r.Verdict = v
	if n := len(r.Steps); n > 0 {
		r.Steps[n-1].Verdict = v
	}
	j.draw(l, &sum, v)
	r.Looked = l.At
	r.Began++
	r.forget(l.At)
	return v, errors.Join(problems...)
}

// alone reports whether no baseline is left to compare with.
func (l *Look) alone() bool { return l.Watch || l.Share >= 1 }

// enter begins the account of a step when it is a new one.
func (j *Judge) enter(l Look) {
	r := &j.r
	if n := len(r.Steps); n > 0 {
		if r.Steps[n-1].Index == l.Index {
			return
		}
		r.Steps[n-1].To = l.At
	}
	r.Steps = append(r.Steps, Step{Index: l.Index, Step: l.Step, From: l.At})
}

// read moves the cursors. tail is what the candidate did with all of the traffic.
func (j *Judge) read(l Look) (pairs []pair, tail moved, problems []error) {
	r := &j.r
	by := make(map[stratum]*pair)
	counts := slices.Clone(l.Counts)
	slices.SortStableFunc(counts, func(a, b semper.ArmCounts) int { return cmp.Compare(cursorKey(&a), cursorKey(&b)) })
	var old sketch.Counts // of the current release, whatever its arm
	for i := range counts {
		c := &counts[i]
		if !r.concerns(c) {
			continue
		}
		key := cursorKey(c)
		at := r.Cursors[key]
		if at == nil {
			at = new(Cursor)
		}
		d, err := at.advance(c, l.At)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		r.Cursors[key] = at
		if c.Release == r.From && c.Arm != semper.ArmCandidate {
			old.Merge(at.Latency)
		}
		switch {
		case c.Rollout == "" && r.Began == 0: // what was before the trial
			if c.Release == r.From {
				r.Before.Requests += d.requests
				r.Before.Bad += d.failed
			}
		case c.Rollout == "" && c.Release == r.To:
			tail.add(d)
		default:
			if c.Release == r.From && !l.Watch {
				r.During.Requests += d.requests
				r.During.Bad += d.failed
			}
			if c.Rollout == "" {
				continue
			}
			s := stratum{c.Edge, c.Pool}
			if by[s] == nil {
				by[s] = &pair{stratum: s}
			}
			by[s].take(r.Against, c.Arm, d)
		}
	}
	for _, p := range by {
		pairs = append(pairs, *p)
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.edge, b.edge), cmp.Compare(a.pool, b.pool))
	})
	if err := j.register(l, old); err != nil {
		problems = append(problems, err)
	}
	return pairs, tail, problems
}

// concerns reports whether c is of the rollout's app and of one of its releases.
func (r *Record) concerns(c *semper.ArmCounts) bool {
	if !strings.HasPrefix(string(c.Pool), r.App+"/"+r.Environment+"/") || c.Rollout != "" && c.Rollout != r.Rollout {
		return false
	}
	return c.Release == r.From || c.Release == r.To
}

// take adds what an arm did. Testers are nobody's sample, and the stable release is one only where there is no fresh baseline.
func (p *pair) take(against semper.Baseline, arm semper.Arm, d moved) {
	switch {
	case arm == semper.ArmCandidate:
		p.candidate.add(d)
	case arm == semper.ArmBaseline && against == semper.BaselineFresh, arm == semper.ArmStable && against == semper.BaselineStable:
		p.baseline.add(d)
	}
}

// count adds the look to the account of its step, after the warm-up.
func (j *Judge) count(l Look, sum *pair, compared []verify.Batch) {
	if j.warm(l.At) {
		s := &j.r.Steps[len(j.r.Steps)-1]
		s.Candidate.add(sum.candidate)
		s.Baseline.add(sum.baseline)
	}
	if l.Step.Kind == semper.StepShadow {
		s := &j.r.Steps[len(j.r.Steps)-1]
		for _, b := range compared {
			s.Candidate.Requests += b.Candidate.Requests
			s.Baseline.Requests += b.Baseline.Requests
		}
	}
	if l.alone() {
		j.watch(l, sum.candidate)
	}
}

func (j *Judge) warm(at time.Time) bool {
	return at.Sub(j.with.State().Start) >= j.r.Judge.WarmUp.D()
}

func (j *Judge) draw(l Look, sum *pair, v semper.Verdict) {
	p := Point{From: j.r.Looked, To: l.At, Looks: 1, Step: l.Index, Share: l.Share, E: v.E}
	if p.From.IsZero() {
		p.From = l.At
	}
	var memory [2]float64
	if l.Memory != nil {
		memory = *l.Memory
	}
	p.Candidate, p.Baseline = reading(&sum.candidate, memory[0]), reading(&sum.baseline, memory[1])
	if l.Watch {
		p.Share = 1
	}
	j.r.plot(p)
}

// PerInstance is the memory per instance of both arms, whose processes are given, by the memory of processes; nil where an arm's is not known.
func PerInstance(arms [2][]int, resident map[int]int64) *[2]float64 {
	var out [2]float64
	for i, pids := range arms {
		n := 0
		for _, pid := range pids {
			if b, ok := resident[pid]; ok {
				out[i] += float64(b)
				n++
			}
		}
		if n == 0 {
			return nil
		}
		out[i] /= float64(n)
	}
	return &out
}
