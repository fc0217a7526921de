package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"semper"
	"semper/verify"
)

// A Judgement is what the judge knows of a rollout: what was counted, what it says, and why.
type Judgement struct {
	App         string              `json:"app"`
	Environment string              `json:"environment"`
	Rollout     string              `json:"rollout"`
	From        semper.ReleaseName  `json:"from"`
	To          semper.ReleaseName  `json:"to"`
	State       semper.RolloutState `json:"state,omitempty"` // of the rollout; empty where it is not the newest
	Looked      time.Time           `json:"looked"`          // the last time
	By          string              `json:"by,omitempty"`    // what keeps users on their side
	Verdict     semper.Verdict      `json:"verdict"`
	Findings    []verify.Finding    `json:"findings"`             // one for each metric
	Thresholds  []LatencyLimit      `json:"thresholds,omitempty"` // of latency
	Steps       []JudgedStep        `json:"steps"`
	Series      []JudgedPoint       `json:"series"`
	Shadow      *JudgedShadow       `json:"shadow,omitempty"` // nil where no request was copied
}

// A LatencyLimit is a latency threshold: slower than At counts on the baseline, slower than Limit on the candidate.
type LatencyLimit struct {
	Name  string          `json:"name"`
	At    semper.Duration `json:"at"`
	Limit semper.Duration `json:"limit"`
}

// A JudgedStep is what was counted of one step; the watch after the last is one too.
type JudgedStep struct {
	semper.Step
	Index     int            `json:"index"`
	From      time.Time      `json:"from"`
	To        time.Time      `json:"to,omitzero"` // zero while it lasts
	Candidate ArmTotal       `json:"candidate"`
	Baseline  ArmTotal       `json:"baseline"`
	Verdict   semper.Verdict `json:"verdict"` // the last of it
}

// An ArmTotal is what one side did in a step. Users are those first seen in it, Hurt those who first met an error in it.
type ArmTotal struct {
	Assigned int64 `json:"assigned"`
	Requests int64 `json:"requests"`
	Failed   int64 `json:"failed"`
	Users    int64 `json:"users,omitempty"`
	Hurt     int64 `json:"hurt,omitempty"`
}

// A JudgedPoint is a stretch of time of a rollout.
type JudgedPoint struct {
	From      time.Time  `json:"from"`
	To        time.Time  `json:"to"`
	Step      int        `json:"step"`
	Share     float64    `json:"share"` // the candidate's, of all requests
	Candidate ArmReading `json:"candidate"`
	Baseline  ArmReading `json:"baseline"`
	// Low and High are between which the candidate's rate of errors is, by all that was counted up to To; Allowed is up to where
	// nothing is held against it.
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Allowed float64 `json:"allowed"`
	E       float64 `json:"e"`
}

// An ArmReading is what one side did in a stretch.
type ArmReading struct {
	Requests int64           `json:"requests"`
	Failed   int64           `json:"failed"`
	P50      semper.Duration `json:"p50,omitempty"`
	P99      semper.Duration `json:"p99,omitempty"`
	Memory   float64         `json:"memory,omitempty"` // bytes per instance; 0 where it was not read
}

// Newest is the rollout id that stands for the newest judged one.
const Newest = "newest"

// Judgement implements [Service].
func (c *Client) Judgement(ctx context.Context, app, env, rollout string) (Judgement, error) {
	if rollout == "" {
		rollout = Newest
	}
	return get[Judgement](ctx, c, "/v1/rollouts/"+url.PathEscape(rollout)+"/verdict", params("app", app, "env", env))
}

func (v *server) judgement(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if id == Newest {
		id = ""
	}
	return v.s.Judgement(r.Context(), r.FormValue("app"), r.FormValue("env"), id)
}
