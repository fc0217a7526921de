package semper

import (
	"encoding/json"
	"time"
)

// An Environment is a pointer to a release, with the scale that goes with it, and the rollout that
// moves it (law L2). It is stored as one value and changes only by compare-and-set.
type Environment struct {
	App  string `json:"app"`
	Name string `json:"name"` // "production"
	// Current serves. Nil before the first deploy has cut over.
	Current *Placement `json:"current,omitempty"`
	// Previous is the release before Current; while a rollout watches it is warm: running and ready.
	Previous *Placement `json:"previous,omitempty"`
	// Retiring are placements that lost their traffic and end as soon as they have nothing in flight.
	Retiring []Placement `json:"retiring,omitempty"`
	Hold     Holds       `json:"hold,omitempty"`
	Rollout  *Rollout    `json:"rollout,omitempty"` // the newest, running or ended
	// Experiments run beside releases: a rollout neither begins nor ends one. Package experiment/design reads and writes them.
	Experiments json.RawMessage `json:"experiments,omitempty"`
	// Migrated are the releases whose migration has ended here, the last of them.
	Migrated map[ReleaseName]Migrated `json:"migrated,omitempty"`
	// Generation counts placements made; InstanceSeq the instance numbers given per service and release.
	Generation  int64          `json:"generation"`
	InstanceSeq map[string]int `json:"instance_seq,omitempty"`
}

// Migrated is how the migration of a release ended.
type Migrated struct {
	At      time.Time `json:"at"`
	Rollout string    `json:"rollout"`
	Took    Duration  `json:"took,omitempty"`   // from the beginning of its hold to its end
	Failed  string    `json:"failed,omitempty"` // why, in words; the release is bad then
}

// EnvironmentKey names an environment: "app/production".
type EnvironmentKey string

// Key of the environment.
func (e Environment) Key() EnvironmentKey { return EnvironmentKey(e.App + "/" + e.Name) }

// DefaultEnvironment is the one meant when none is named.
const DefaultEnvironment = "production"

// A Placement is a release put to run: which instances, how many of each service.
type Placement struct {
	Release    ReleaseName    `json:"release"`
	Generation int64          `json:"generation"` // unique per environment: a restart is a new generation of the same release
	Scale      map[string]int `json:"scale"`      // service → instances
	Instances  []PlacedUnit   `json:"instances"`
	ByHand     []string       `json:"by_hand,omitempty"` // services that are not scaled by themselves, since somebody gave a number
	// CutAt is when it lost the last of its traffic; zero while it has some, or never had any.
	CutAt    time.Time `json:"cut_at,omitzero"`
	CutEpoch Epoch     `json:"cut_epoch,omitempty"` // the first that leaves it out
	// ReplacedAt is when another release took its place as the current one. It is warm from then on.
	ReplacedAt time.Time `json:"replaced_at,omitzero"`
	// PinnedUntil is set while it serves the clients that stick to its release, though it is not the current one: it is cut then.
	PinnedUntil time.Time `json:"pinned_until,omitzero"`
	// Drain are the deadlines of its release, kept here so that ending it needs nothing else.
	Drain DrainDeadlines `json:"drain"`
}

// WarmSince is when p, the previous release, became that.
func (p Placement) WarmSince() time.Time {
	if p.ReplacedAt.IsZero() { // as an older semper wrote it
		return p.CutAt
	}
	return p.ReplacedAt
}

// A PlacedUnit is an instance that should run.
type PlacedUnit struct {
	ID      InstanceID `json:"id"`
	Service string     `json:"service"`
}

// RolloutState is where a rollout is.
//
//	stage → start → ready → (trial) → (hold → migrate) → connect → drain → watch → retire → done
//	  └────────┴───────┴───────┴─────────┴─ (undo) ──┴──→ failed   (the environment keeps the release it had)
//	                            drain, watch ──→ rolling-back → rolled-back
//	                            drain, watch ──→ superseded    (by the next rollout)
type RolloutState string

// The states of a rollout.
const (
	RolloutStage       RolloutState = "stage"   // artifact on the machine, digest checked
	RolloutStart       RolloutState = "start"   // new instances started, not connected
	RolloutReady       RolloutState = "ready"   // wait until all of them are ready
	RolloutTrial       RolloutState = "trial"   // the steps of the release: shadow and shares of the traffic, judged
	RolloutHold        RolloutState = "hold"    // requests wait; those before them finish
	RolloutMigrate     RolloutState = "migrate" // the release's migration runs; then all have to be ready again
	RolloutUndo        RolloutState = "undo"    // what undoes a migration that failed runs
	RolloutConnect     RolloutState = "connect" // next epoch published, waiting for every edge's acknowledgement
	RolloutDrain       RolloutState = "drain"   // old release finishes what it has
	RolloutWatch       RolloutState = "watch"   // old release stays warm; a crash loop turns it back
	RolloutRetire      RolloutState = "retire"  // old release is stopped
	RolloutDone        RolloutState = "done"
	RolloutFailed      RolloutState = "failed"
	RolloutRollingBack RolloutState = "rolling-back" // the old table is published again, waiting for acknowledgement
	RolloutRolledBack  RolloutState = "rolled-back"
	RolloutSuperseded  RolloutState = "superseded"
)

// Ended reports whether nothing more happens in this state.
func (s RolloutState) Ended() bool {
	switch s {
	case RolloutDone, RolloutFailed, RolloutRolledBack, RolloutSuperseded:
		return true
	}
	return false
}

// Live reports whether the target has all the traffic, acknowledged.
func (s RolloutState) Live() bool {
	switch s {
	case RolloutDrain, RolloutWatch, RolloutRetire, RolloutDone:
		return true
	}
	return false
}

// RolloutKind says what asked for the move.
type RolloutKind string

// The kinds of rollout.
const (
	KindDeploy   RolloutKind = "deploy"
	KindRollback RolloutKind = "rollback"
	KindRestart  RolloutKind = "restart"
	KindScale    RolloutKind = "scale"
)

// A Rollout is one move of an environment from a release to another.
type Rollout struct {
	ID        string       `json:"id"` // "d-41", unique per environment
	Kind      RolloutKind  `json:"kind"`
	State     RolloutState `json:"state"`
	From      ReleaseName  `json:"from,omitempty"`
	To        ReleaseName  `json:"to"`
	Target    Placement    `json:"target"` // until connect; then it is the environment's Current
	Epoch     Epoch        `json:"epoch,omitempty"`
	By        string       `json:"by,omitempty"`
	StartedAt time.Time    `json:"started_at"`
	EnteredAt time.Time    `json:"entered_at"` // of State
	EndedAt   time.Time    `json:"ended_at,omitzero"`
	// Deadline of the state, zero for none.
	Deadline time.Time `json:"deadline,omitzero"`
	Reason   string    `json:"reason,omitempty"` // why it failed or turned back, in words
	// Evidence for Reason: the failing instance and the last lines it printed.
	Instance InstanceID    `json:"instance,omitempty"`
	Tail     []string      `json:"tail,omitempty"`
	Steps    []RolloutStep `json:"steps"`
	// Trial is how far the rollout is with the steps that its release asks for.
	Trial     *Trial        `json:"trial,omitempty"`
	Migration *MigrationRun `json:"migration,omitempty"` // from the state hold on
	// Hotfix says why the steps were left out: the release in production is the broken one.
	Hotfix string `json:"hotfix,omitempty"`
}

// A RolloutStep is one state the rollout was in.
type RolloutStep struct {
	State RolloutState `json:"state"`
	At    time.Time    `json:"at"`
	Note  string       `json:"note,omitempty"`
}

// A MigrationRun is how far a rollout is with the migration of its release. Requests wait while it has begun and the rollout is not connected.
type MigrationRun struct {
	Unit   PlacedUnit `json:"unit"`
	Epoch  Epoch      `json:"epoch,omitempty"` // whose table holds what it asks for; 0 where that is nothing
	Since  time.Time  `json:"since"`
	Seen   bool       `json:"seen,omitempty"` // it has run: it is never begun again
	Done   bool       `json:"done,omitempty"`
	Failed string     `json:"failed,omitempty"` // why, in words
	Undo   PlacedUnit `json:"undo,omitzero"`    // runs what undoes it
}
