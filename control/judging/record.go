package judging

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"semper"
	"semper/verify"
)

// version is that of a record's form. A record of another is not resumed.
const version = 1

// A Record is all that a judge of a rollout knows. It is stored as one value.
type Record struct {
	Version int `json:"version"`
	Terms
	Plan    verify.Plan        `json:"plan"` // with the registered thresholds
	State   verify.State       `json:"state"`
	Cursors map[string]*Cursor `json:"cursors"`
	Looked  time.Time          `json:"looked"` // the last time
	// Registered is when the latency thresholds were fixed: what came later counts.
	Registered time.Time `json:"registered,omitzero"`
	Began      int64     `json:"began"` // looks so far
	// Before is what the current release did before its trial, and During what it did since: failed requests, whatever the metric is.
	Before verify.Arm `json:"before"`
	During verify.Arm `json:"during"`
	Steps  []Step     `json:"steps,omitempty"`
	Watch  *Watch     `json:"watch,omitempty"`
	Series []Point    `json:"series,omitempty"`
	Every  int        `json:"every,omitempty"` // looks in a point of the series
	// Rest are requests by worth, and slow ones of them by threshold, of which less than a whole one is left: the candidate's first.
	Rest [2][]float64 `json:"rest,omitzero"`
	// Means are how far the values of each metric were counted, the candidate's first.
	Means map[string][2]verify.Moments `json:"means,omitempty"`
	// Shadowed are the differences that copies of requests have shown; nil where none was compared.
	Shadowed *Shadow `json:"shadowed,omitempty"`
	// Verdict is the newest.
	Verdict  semper.Verdict   `json:"verdict"`
	Findings []verify.Finding `json:"findings,omitempty"`
}

// A Step is what was counted of one step of the rollout, the warm-up left out.
type Step struct {
	Index     int            `json:"index"` // as [semper.Trial] counts them
	Step      semper.Step    `json:"step"`
	From      time.Time      `json:"from"`
	To        time.Time      `json:"to,omitzero"` // zero while it lasts
	Candidate Total          `json:"candidate"`
	Baseline  Total          `json:"baseline"`
	Verdict   semper.Verdict `json:"verdict"` // the newest of it
}

// A Total is what an arm did in a step.
type Total struct {
	Assigned int64 `json:"assigned"`
	Requests int64 `json:"requests"`
	Failed   int64 `json:"failed"`
	Users    int64 `json:"users,omitempty"`
	Hurt     int64 `json:"hurt,omitempty"`
}

func (t *Total) add(d moved) {
	t.Assigned += d.assigned
	t.Requests += d.requests
	t.Failed += d.failed
	t.Users += d.users
	t.Hurt += d.hurt
}

// A Judge judges one rollout. It is not safe for concurrent use.
type Judge struct {
	r    Record
	with *verify.Judge
}

// New is a judge of a rollout whose trial begins at at.
func New(t Terms, at time.Time) (*Judge, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	j, err := verify.NewJudge(t.plan(), at)
	if err != nil {
		return nil, err
	}
	return &Judge{with: j, r: Record{Version: version, Terms: t, Plan: j.Plan(), State: j.State(), Cursors: make(map[string]*Cursor), Every: 1}}, nil
}

// same reports whether t are the terms of the record, whose fresh baseline may have been given up.
func (r *Record) same(t Terms) bool {
	t.Against = r.Against
	return reflect.DeepEqual(r.Terms, t)
}

// Resume is a judge that goes on from what [Judge.Encode] wrote. What is of another rollout, judged by something else, or damaged, is
// refused.
func Resume(t Terms, b []byte) (*Judge, error) {
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("the record of %s is not readable: %w", t.Rollout, err)
	}
	switch {
	case r.Version != version:
		return nil, fmt.Errorf("the record of %s has version %d: this semper reads version %d", t.Rollout, r.Version, version)
	case !r.same(t):
		return nil, fmt.Errorf("the record is of %s of %s/%s from %s to %s, or judged by something else, and what is asked for is %s of %s/%s from %s to %s",
			r.Rollout, r.App, r.Environment, r.From, r.To, t.Rollout, t.App, t.Environment, t.From, t.To)
	}
	if r.Cursors == nil {
		r.Cursors = make(map[string]*Cursor)
	}
	for key, c := range r.Cursors {
		if c == nil {
			return nil, fmt.Errorf("the record of %s does not say how far %s was counted", t.Rollout, key)
		}
	}
	r.Every = max(r.Every, 1)
	j, err := verify.Resume(r.Plan, r.State)
	if err != nil {
		return nil, fmt.Errorf("the record of %s: %w", t.Rollout, err)
	}
	return &Judge{r: r, with: j}, nil
}

// Record is what the judge knows. It is shared with the judge: read it before the next look.
func (j *Judge) Record() *Record {
	j.r.Plan, j.r.State = j.with.Plan(), j.with.State()
	return &j.r
}

// Encode is the record as it is stored.
func (j *Judge) Encode() ([]byte, error) { return json.Marshal(j.Record()) }
