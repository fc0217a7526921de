package admit

import "time"

// The defaults of a Hedge.
const (
	defaultLeastDelay = 10 * time.Millisecond
	enoughSamples     = 100
)

// Hedge is when a request is given to a second backend while the first has not answered yet, and the first answer of the two is
// taken (Dean and Barroso, The Tail at Scale, 2013). A delay of the 95th percentile makes a twentieth more requests at most,
// and the [Budget] of hedges, another than that of retries, fewer when everything is slow. The zero Hedge never does.
type Hedge struct {
	Most     int           // second attempts for one request, each after another delay
	MinDelay time.Duration // the least delay; 0: 10 ms
}

// HedgeBudget is the budget of hedges: a twentieth of the requests, and one a second.
func HedgeBudget() BudgetPolicy { return BudgetPolicy{Ratio: 0.05, Floor: 1} }

// Delay is how long to wait for an answer before the next attempt, of which there were hedges, and whether there is one.
// p95 is the 95th percentile of the route's latency over the samples, which must be enough to know it.
func (h Hedge) Delay(a Attempt, hedges int, p95 time.Duration, samples int) (time.Duration, bool) {
	if hedges >= h.Most || samples < enoughSamples || !a.Idempotent || !a.Replayable || a.Answered {
		return 0, false
	}
	return max(p95, or(h.MinDelay, defaultLeastDelay)), true
}
