package judging

import (
	"fmt"
	"time"

	"semper"
	"semper/verify"
	"semper/verify/diff"
)

// Causes of a verdict that stays open, beside those of package verify.
const (
	CauseClock    = "clock-set-back" // of this machine
	CauseRecord   = "no-record"      // what was known before is not readable
	CauseSettling = "settling"       // not every edge has the step's routes yet
	CauseSilent   = "silent-edge"    // what one of them counted is not known
)

// verdict is what is known now.
func (j *Judge) verdict(l Look) semper.Verdict {
	r := &j.r
	if l.Watch || l.alone() && r.Watch != nil && r.Watch.Worse {
		return j.watched(l)
	}
	w := j.with.Verdict(l.At, verify.Need{Time: l.Step.For.D(), Since: l.Since})
	r.Findings = w.Findings
	v := semper.Verdict{
		Outcome: semper.Outcome(w.Outcome), Cause: string(w.Cause), Why: w.Why, E: w.E, Limit: w.Threshold, Baseline: r.Against, At: w.At,
		Rollout: r.Rollout, Step: l.Index,
	}
	for _, f := range w.Findings {
		if f.Named {
			v.Metric = f.Metric
			break
		}
	}
	if v.Metric == metricDifferences && r.Shadowed != nil {
		if all := r.Shadowed.Board.Words(diff.Different); len(all) > 0 {
			v.Why += ": most of all " + all[0]
		}
	}
	if v.Outcome == semper.BetterOrEqual || w.Cause == verify.TooEarly {
		cause, why := j.open(l, w.Findings)
		if cause != "" && (v.Outcome == semper.BetterOrEqual || cause != string(verify.TooEarly)) { // what is missing is worth more than when
			v.Outcome, v.Cause, v.Why = semper.Undecided, cause, why
		}
	}
	if r.Against == semper.BaselineStable && v.Outcome != semper.Undecided {
		v.Why += fmt.Sprintf(" (held against the instances of %s that serve anyway, whose caches are warm: latency may be %.3g times as high, and memory is not judged)",
			r.From, r.latencyMargin())
	}
	return v
}

// open says what is missing yet for the step to be passed, of which nothing speaks against the candidate.
func (j *Judge) open(l Look, all []verify.Finding) (cause, why string) {
	if l.Silent {
		return CauseSilent, "an edge does not answer: what it has counted is not known"
	}
	switch l.Step.Kind {
	case semper.StepShadow:
		if l.Since.IsZero() {
			break
		}
		return j.compared(l, all)
	case semper.StepTraffic:
		if l.Since.IsZero() {
			break
		}
		return j.served(l, all)
	default:
		return "", "" // a pause is ended by a person, and beyond the last step nothing is asked for
	}
	return CauseSettling, "not every edge has taken the routes of this step yet: its time has not begun"
}

// served says what a step with a share of the traffic misses.
func (j *Judge) served(l Look, all []verify.Finding) (cause, why string) {
	r := &j.r
	s := &r.Steps[len(r.Steps)-1]
	compared := l.Share < 1
	switch c, b := s.Candidate.Requests, s.Baseline.Requests; {
	case c == 0:
		return string(verify.NoData), fmt.Sprintf("no request of %s has ended in this step%s: nothing can be said without", r.To, j.warming(l))
	case compared && b == 0:
		return string(verify.NoData), fmt.Sprintf("no request of %s, the baseline, has ended in this step%s: nothing can be said without", r.From, j.warming(l))
	case c < l.Step.Requests || compared && b < l.Step.Requests:
		return string(verify.TooEarly), fmt.Sprintf("nothing speaks against the candidate, but this step has had %d requests of it and %d of the baseline, and asks for %d of each",
			c, b, l.Step.Requests)
	}
	for _, f := range all {
		switch {
		case f.Kind == verify.Mean && f.Data && compared && min(f.Values[0].N, f.Values[1].N) < verify.MinMean:
			return string(verify.TooEarly), fmt.Sprintf("nothing speaks against the candidate, but %s has %d values of it and %d of the baseline, and takes %d of each",
				f.Metric, f.Values[0].N, f.Values[1].N, verify.MinMean)
		case f.Data || !compared:
		case f.Metric == metricUsers:
			return string(verify.NoData), fmt.Sprintf("users has no data of either release: no request of both had what the split goes by (%s)", r.By)
		case f.Kind == verify.Mean:
			return string(verify.NoData), fmt.Sprintf("%s has no data: nothing was pushed of it by an instance of either side", f.Metric)
		case f.Metric == metricLatency:
			return string(verify.NoData), fmt.Sprintf("latency has no data: it is counted once %s has had %d requests to take thresholds from", r.From, someOld)
		}
	}
	return "", ""
}

// compared says what a step with copies of requests misses.
func (j *Judge) compared(l Look, all []verify.Finding) (cause, why string) {
	n := j.r.Steps[len(j.r.Steps)-1].Candidate.Requests
	for _, f := range all {
		if f.Metric == metricDifferences && !f.Data {
			return string(verify.NoData), "no pair of responses has been compared: nothing can be said without"
		}
	}
	if fresh := j.r.Shadowed.fresh(); fresh != "" {
		return string(verify.TooEarly), "differences that the current release has never shown, too few to be sure: " + fresh
	}
	if n < l.Step.Requests {
		return string(verify.TooEarly), fmt.Sprintf("nothing speaks against the candidate, but %d pairs of responses were compared in this step, and it asks for %d", n, l.Step.Requests)
	}
	return "", ""
}

// warming says that nothing counts yet.
func (j *Judge) warming(l Look) string {
	if j.warm(l.At) {
		return ""
	}
	left := j.with.State().Start.Add(j.r.Judge.WarmUp.D()).Sub(l.At)
	return fmt.Sprintf(" (the warm-up lasts %v more)", left.Round(time.Second))
}

// stopped is the verdict while the clock is behind what was counted already.
func (j *Judge) stopped(l Look) semper.Verdict {
	v := j.r.Verdict
	if v.Outcome == semper.Worse {
		return v
	}
	return j.r.Undecided(l.At, l.Index, CauseClock, "the clock of this machine was set back: nothing is counted until it has caught up")
}

// Undecided is an open verdict on the rollout of these terms, for a cause.
func (t *Terms) Undecided(at time.Time, step int, cause, why string) semper.Verdict {
	return semper.Verdict{
		Outcome: semper.Undecided, Cause: cause, Why: why, E: 1, Limit: 1 / (trialPart * t.Alpha()), Baseline: t.Against, At: at, Rollout: t.Rollout, Step: step,
	}
}
