package judging

import (
	"fmt"
	"math"
	"time"

	"semper"
	"semper/verify"
)

// A Watch holds the candidate, which has all the traffic, against the rate of errors that the release before it had. Nothing is random in
// that: it was another time. So more is allowed than beside a baseline.
type Watch struct {
	Since     time.Time  `json:"since"`
	Reference verify.Arm `json:"reference"` // what the old release did
	Limit     float64    `json:"limit"`     // the rate up to which the candidate is let pass
	Candidate verify.Arm `json:"candidate"` // what it did since
	Log       float64    `json:"log"`       // of the e-value for "its rate is not above Limit", at its highest
	Worse     bool       `json:"worse,omitempty"`
}

// enoughReference is how many requests of the trial make what was before it unnecessary.
const enoughReference = 1000

// watchAlpha is the watch's part of the rollout's alpha. Half of it is for the reference, which is an estimate itself.
func (t *Terms) watchAlpha() float64 { return (1 - trialPart) * t.Alpha() }

// watch counts what the candidate did with all the traffic.
func (j *Judge) watch(l Look, d moved) {
	r := &j.r
	if r.Watch == nil {
		w := &Watch{Since: l.At, Reference: r.During}
		if w.Reference.Requests < enoughReference {
			w.Reference.Requests += r.Before.Requests
			w.Reference.Bad += r.Before.Bad
		}
		if w.Reference.Requests > 0 {
			_, high := verify.Rate(w.Reference.Bad, w.Reference.Requests, r.watchAlpha()/2)
			w.Limit = min(max(r.errorFloor(), high*(1+2*(r.errorMargin()-1))), 1)
		}
		r.Watch = w
	}
	w := r.Watch
	w.Candidate.Requests += d.requests
	w.Candidate.Bad += d.failed
	if w.Limit <= 0 || w.Limit >= 1 {
		return
	}
	worth := r.worth()
	n := int64(float64(w.Candidate.Requests) / worth)
	w.Log = max(w.Log, verify.Exceeds(min(int64(float64(w.Candidate.Bad)/worth), n), n, w.Limit))
	w.Worse = w.Worse || w.Log >= -math.Log(r.watchAlpha()/2)
}

// watched is what the watch says.
func (j *Judge) watched(l Look) semper.Verdict {
	r, w := &j.r, j.r.Watch
	v := semper.Verdict{
		Outcome: semper.BetterOrEqual, Metric: metricErrors, E: min(math.Exp(w.Log), math.MaxFloat64), Limit: 2 / r.watchAlpha(),
		Baseline: r.Against, At: l.At, Rollout: r.Rollout, Step: l.Index,
	}
	did := fmt.Sprintf("of %s failed %s since it has all the traffic, and of %s before %s", r.To, w.Candidate, r.From, w.Reference)
	switch {
	case w.Worse:
		v.Outcome, v.Why = semper.Worse, fmt.Sprintf("the candidate is worse: %s; at most %.3g %% are let pass", did, 100*w.Limit)
	case w.Reference.Requests == 0:
		v.Outcome, v.Cause, v.Why = semper.Undecided, string(verify.NoData), fmt.Sprintf("nothing is known of %s to hold %s against", r.From, r.To)
	case w.Candidate.Requests == 0:
		v.Outcome, v.Cause, v.Why = semper.Undecided, string(verify.NoData), fmt.Sprintf("%s has had no request since the cutover", r.To)
	default:
		v.Why = fmt.Sprintf("nothing speaks against the candidate: %s; up to %.3g %% are let pass", did, 100*w.Limit)
	}
	return v
}
