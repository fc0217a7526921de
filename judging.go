package semper

import (
	"encoding/json"
	"strings"
	"time"
)

// Deploy says how a release has to earn its traffic before it gets all of it.
type Deploy struct {
	Steps []Step `json:"steps,omitempty"`
	// Baseline is what a candidate is compared with.
	Baseline Baseline `json:"baseline,omitempty"`
	// By keeps a client on its side of a split: "client", "header:NAME", "cookie:NAME", "query:NAME" as routes know them, or "user" for a
	// signed cookie that the edge gives. Empty leaves each request to chance.
	By string `json:"by,omitempty"`
	// Testers are conditions on a header, cookie or query, as those of a route. Who meets one gets the candidate, and is not judged by.
	Testers json.RawMessage `json:"testers,omitempty"`
	Judge   Judge           `json:"judge,omitzero"`
	Shadow  Shadowing       `json:"shadow,omitzero"`
}

// A StepKind is what a step of a rollout does.
type StepKind string

// The kinds of step.
const (
	StepShadow  StepKind = "shadow"  // copies of requests go to the candidate; clients never see its answers
	StepTraffic StepKind = "traffic" // a share of the requests goes to the candidate
	StepPause   StepKind = "pause"   // nothing changes until somebody promotes, or the rollout is resumed
)

// A Step is one stretch of the way of a candidate to all traffic.
type Step struct {
	Kind  StepKind `json:"kind"`
	Share float64  `json:"share,omitempty"` // of the requests, above 0 and up to 1; of Pause none
	// For and Requests are the time and the evidence (requests of each arm) it takes at least.
	For      Duration `json:"for,omitempty"`
	Requests int64    `json:"requests,omitempty"`
}

// A Baseline is what a candidate is compared with.
type Baseline string

// The baselines.
const (
	// BaselineFresh are new instances of the current release, as many as the candidate's: as young, as cold and as loaded.
	BaselineFresh Baseline = "fresh"
	// BaselineStable are the instances of the current release that serve anyway.
	BaselineStable Baseline = "stable"
)

// Judge is how a candidate is judged. Zero settings mean the judge's defaults: see package verify.
type Judge struct {
	Alpha        float64      `json:"alpha,omitempty"` // bound of the probability of ever returning a candidate that is as good
	ErrorMargin  float64      `json:"error_margin,omitempty"`
	ErrorFloor   float64      `json:"error_floor,omitempty"`
	ErrorBursts  bool         `json:"error_bursts,omitempty"`   // errors convict in many slices of time only
	LatencyAbove float64      `json:"latency_margin,omitempty"` // times each threshold
	MemoryMargin float64      `json:"memory_margin,omitempty"`  // times the baseline's resident memory per instance
	WarmUp       Duration     `json:"warm_up,omitempty"`        // during which nothing counts, on both arms
	Interval     Duration     `json:"interval,omitempty"`       // between two looks; 0: 1 s
	Metrics      []MeanMetric `json:"metrics,omitempty"`        // what instances push of what users do; one of which nothing comes holds the rollout
}

// A MeanMetric is judged by the mean of the values that the instances of each side push.
type MeanMetric struct {
	Name   string  `json:"name"`
	Less   bool    `json:"less_is_better,omitempty"` // a cost
	Margin float64 `json:"margin,omitempty"`         // which part of the baseline's mean may be lost
}

// Shadowing bounds the copies of requests, and says how their answers are compared.
type Shadowing struct {
	Concurrency int      `json:"concurrency,omitempty"` // copies in flight, per edge and service; 0: 32
	Bytes       int64    `json:"bytes,omitempty"`       // of requests and answers that are kept, per edge and service; 0: 64 MiB
	Body        int64    `json:"body,omitempty"`        // of one request or response; larger ones are counted and skipped; 0: 1 MiB
	Timeout     Duration `json:"timeout,omitempty"`     // of a copy; 0: 10 s
	Again       float64  `json:"again,omitempty"`       // part of the copies that a second copy of the current release gets too, for noise; 0: 1
	Headers     []string `json:"headers,omitempty"`     // of responses, that are compared
	// Rules are what is masked, ignored and expected to differ, and what messages hold: Terms of package verify/diff.
	Rules json.RawMessage `json:"rules,omitempty"`
}

// An Arm is a part in a comparison.
type Arm string

// The arms. The pool of a service itself is the stable one.
const (
	ArmStable    Arm = "stable"
	ArmCandidate Arm = "candidate"
	ArmBaseline  Arm = "baseline"
	ArmTester    Arm = "tester"   // requests of testers that the candidate's instances serve
	ArmPrevious  Arm = "previous" // the release before the current one while it serves those who stick to it; no part of a comparison
)

// PoolOf is the key of arm's pool beside the pool k of a service, which is the stable arm's.
func (k PoolKey) PoolOf(arm Arm) PoolKey {
	if arm == ArmStable {
		return k
	}
	return k + PoolKey("@"+arm)
}

// Stable is the key of the pool that p is an arm of; its own where it is none.
func (p *Pool) Stable() PoolKey {
	if p.Arm == "" || p.Arm == ArmStable {
		return p.Key
	}
	return PoolKey(strings.TrimSuffix(string(p.Key), "@"+string(p.Arm)))
}

// A Split gives parts of a pool's requests to other pools; what is left is its own.
type Split struct {
	Rollout string     `json:"rollout"` // whose it is; keys are spread anew for each
	By      string     `json:"by,omitempty"`
	Arms    []ArmShare `json:"arms"`
	// Testers are sent to the candidate whatever the shares are.
	Testers json.RawMessage `json:"testers,omitempty"`
}

// An ArmShare is an arm's part.
type ArmShare struct {
	Arm   Arm     `json:"arm"`
	Share float64 `json:"share"` // of all of the pool's requests
}

// A Shadow sends copies of a pool's requests to the pool's candidate, and copies of some of them to its baseline, and compares.
type Shadow struct {
	Rollout string  `json:"rollout"`
	Share   float64 `json:"share"`
	Shadowing
}

// ArmCounts are what one edge has seen of one arm of a split since the edge began. They only grow. A pool without a split is the
// stable arm of no rollout. What becomes of a request counts for the arm that it was assigned to, whichever instance served it.
type ArmCounts struct {
	Edge     string      `json:"edge"` // with its start: two lives of an edge have two names
	Pool     PoolKey     `json:"pool"` // of the service: the stable one's
	Rollout  string      `json:"rollout,omitempty"`
	Release  ReleaseName `json:"release"`
	Arm      Arm         `json:"arm"`
	Assigned uint64      `json:"assigned"` // requests given to the arm, before anything became of them
	Requests uint64      `json:"requests"` // that ended, but for those Missed and Gone, those cut at a drain deadline, and those the edge refused for its own sake
	// Failed, of Requests, were answered with 500-599, by the app or by the edge in its place, or broken off, or had an attempt at an
	// instance of the arm fail so, though another served the client.
	Failed uint64 `json:"failed"`
	// Missed, of Assigned, found no ready instance in the arm: the stable pool served them. Gone are those whose clients went away.
	Missed uint64 `json:"missed,omitempty"`
	Gone   uint64 `json:"gone,omitempty"`
	// Users and Hurt are how many keys of a sticky split were seen, and how many of them met a failure. They are counted in a map of
	// bits by hash, so that of many one or the other is missed, on both arms alike.
	Users   uint64 `json:"users,omitempty"`
	Hurt    uint64 `json:"hurt,omitempty"`
	Latency []byte `json:"latency,omitempty"` // of Requests: a binary edge/sketch
}

// An Outcome is what a verdict comes to. Their meaning is package verify's.
type Outcome string

// The outcomes.
const (
	BetterOrEqual Outcome = "better-or-equal"
	Worse         Outcome = "worse"
	Undecided     Outcome = "undecided"
)

// A Verdict is what the judge says of a rollout at a time.
type Verdict struct {
	Outcome  Outcome   `json:"outcome"`
	Cause    string    `json:"cause,omitempty"` // why it is undecided
	Why      string    `json:"why"`             // one sentence
	Metric   string    `json:"metric,omitempty"`
	E        float64   `json:"e"`
	Limit    float64   `json:"limit"` // of E: at it the candidate is worse
	Baseline Baseline  `json:"baseline"`
	At       time.Time `json:"at"`
	// Rollout and Step are what it is about: a verdict lets a rollout go on with this very step only.
	Rollout string `json:"rollout"`
	Step    int    `json:"step"` // as Trial.Step: the number of steps is the watch's
}

// Trial is how far a rollout is with its steps. Nil in rollouts without.
type Trial struct {
	Step   int     `json:"step"`             // index in the release's steps; their number when all are passed
	Share  float64 `json:"share,omitempty"`  // of the requests, that the candidate is given now
	Shadow float64 `json:"shadow,omitempty"` // of the requests, copies of which it is given now
	// Since is when every edge had acknowledged the step's route table; zero before. Nothing is judged by what was before it.
	Since time.Time `json:"since,omitzero"`
	// Scale is how many instances of each service run for the trial, of the candidate and of a fresh baseline alike. Services that
	// are not in it are not on trial.
	Scale map[string]int `json:"scale,omitempty"`
	// Over is set when no step is left: the others of the candidate's instances are started, and then it is connected.
	Over     bool   `json:"over,omitempty"`
	Paused   bool   `json:"paused,omitempty"`
	PausedBy string `json:"paused_by,omitempty"` // empty: the release asks for it
	// Until is the kind of the step at whose end the rollout pauses by itself.
	Until StepKind `json:"until,omitempty"`
	// Baseline are the fresh instances of the current release; nil where Against is stable, and when the trial has ended.
	Baseline *Placement `json:"baseline,omitempty"`
	Against  Baseline   `json:"against,omitempty"`
	// Verdict is the first of those of this step that came to what the newest comes to.
	Verdict *Verdict `json:"verdict,omitempty"`
	// Passed are the steps before, with the verdicts they were left by.
	Passed []PassedStep `json:"passed,omitempty"`
}

// A PassedStep is a step that was left.
type PassedStep struct {
	Step
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	By      string    `json:"by,omitempty"` // who had it left before its time
	Verdict *Verdict  `json:"verdict,omitempty"`
}
