// Package course has the records of releases on their way through pipelines: what became of a run, of each environment on it, and
// of each gate there. Package pipeline decides how they change; whoever stores, serves or shows them needs only these.
package course

import (
	"time"

	"semper"
)

// State is what became of a run.
type State string

// The states of a run of a pipeline.
const (
	Running    State = "running"
	Passed     State = "passed"
	Failed     State = "failed"
	Rejected   State = "rejected"
	Superseded State = "superseded"
)

// A Run is the way of one release through a pipeline.
type Run struct {
	ID        string             `json:"id"` // "p-7", unique in the installation
	Number    int64              `json:"number"`
	App       string             `json:"app"`
	Release   semper.ReleaseName `json:"release"`
	Artifact  semper.Digest      `json:"artifact"`
	Config    semper.Digest      `json:"config"`
	Pipeline  semper.Pipeline    `json:"pipeline"` // as it was in force when the run began
	State     State              `json:"state"`
	At        int                `json:"at"` // index in Stages
	Stages    []Stage            `json:"stages"`
	By        string             `json:"by,omitempty"`
	StartedAt time.Time          `json:"started_at"`
	EndedAt   time.Time          `json:"ended_at,omitzero"`
	Reason    string             `json:"reason,omitempty"` // why it ended before its end
}

// StageState is how far a run is with an environment.
type StageState string

// The states of a stage of a run.
const (
	StagePending StageState = "pending" // not reached
	StageBefore  StageState = "before"  // at the gates before it
	StageDeploy  StageState = "deploy"  // its rollout is under way
	StageLive    StageState = "live"    // at the gates of what serves
	StagePassed  StageState = "passed"
)

// A Stage is a run in one environment.
type Stage struct {
	Environment string        `json:"environment"`
	State       StageState    `json:"state"`
	Rollout     string        `json:"rollout,omitempty"`
	LiveAt      time.Time     `json:"live_at,omitzero"`
	Trial       *semper.Trial `json:"trial,omitempty"` // of Rollout, as it was when the release was live
	Gates       []Gate        `json:"gates,omitempty"`
}

// GateState is how far a run is with a gate.
type GateState string

// The states of a gate.
const (
	GatePending GateState = "pending"
	GateRunning GateState = "running"
	GatePassed  GateState = "passed"
	GateFailed  GateState = "failed"
)

// A Gate is a gate in a run.
type Gate struct {
	Gate      string            `json:"gate"`
	State     GateState         `json:"state"`
	Attempt   int               `json:"attempt,omitempty"` // from 1
	StartedAt time.Time         `json:"started_at,omitzero"`
	EndedAt   time.Time         `json:"ended_at,omitzero"`
	Deadline  time.Time         `json:"deadline,omitzero"`
	Expires   time.Time         `json:"expires,omitzero"` // of a yes
	Unit      semper.InstanceID `json:"unit,omitempty"`   // that runs the command
	Exit      int               `json:"exit,omitempty"`
	Tail      []string          `json:"tail,omitempty"` // last lines it printed
	By        string            `json:"by,omitempty"`
	Why       string            `json:"why,omitempty"`       // what came of it
	Statement string            `json:"statement,omitempty"` // its name; empty where the gate leaves none
}

// A Line is the switch that stops all promotions of an app, or of all apps.
type Line struct {
	App     string    `json:"app,omitempty"` // empty: all
	Stopped bool      `json:"stopped"`
	Why     string    `json:"why,omitempty"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at"`
}
