package api

import (
	"slices"
	"time"

	"semper"
	"semper/task"
)

// DeployRequest asks for a move of an environment to what Spec and Artifact say. The artifact's
// bytes are already uploaded.
type DeployRequest struct {
	Environment string        `json:"environment"`
	Spec        semper.Spec   `json:"spec"`
	Artifact    semper.Digest `json:"artifact"`
	// ExpectRevision, when not 0, is the plan's revision: a deploy against a moved environment is a Conflict.
	ExpectRevision int64 `json:"expect_revision,omitempty"`
	// Until is the kind of step after whose last one the rollout pauses; empty for never.
	Until semper.StepKind `json:"until,omitempty"`
	// Hotfix says why the release's steps are left out: the release in production is the broken one.
	// So are the gates of its environment, which takes an admin.
	Hotfix string `json:"hotfix,omitempty"`
	// MigrateAgain runs a migration once more that failed; without it a release whose migration failed is refused.
	MigrateAgain bool `json:"migrate_again,omitempty"`
	// Pipeline, when not nil, is to be in force from now on. One that is in force already takes an admin to be changed.
	Pipeline *semper.Pipeline `json:"pipeline,omitempty"`
	By       string           `json:"by,omitempty"`
}

// A Promotion says that a rollout need not wait.
type Promotion struct {
	Full bool   `json:"full,omitempty"` // of all steps that are left, not only of the present one
	Step int    `json:"step,omitempty"` // the one that is meant, from 1, so that asking twice skips once; 0: whichever it is
	By   string `json:"by,omitempty"`
}

// Plan is what a deploy would do.
type Plan struct {
	App         string             `json:"app"`
	Environment string             `json:"environment"`
	Revision    int64              `json:"revision"` // of the environment this was computed against
	From        semper.ReleaseName `json:"from,omitempty"`
	To          semper.ReleaseName `json:"to"` // the number it would get, or has already
	New         bool               `json:"new"`
	Changes     []string           `json:"changes"` // one difference per line, "+ ", "- " or "~ " first
	Effects     []PlanEffect       `json:"effects"`
	Steps       []PlanStep         `json:"steps"`
	Migration   *PlanMigration     `json:"migration,omitempty"`
	Refused     string             `json:"refused,omitempty"` // why a deploy is not let into the environment now
	Instead     string             `json:"instead,omitempty"` // what to do then
}

// PlanMigration is what a deploy would have run once, and who would wait for it.
type PlanMigration struct {
	Command   []string        `json:"command"`
	OnFailure []string        `json:"on_failure,omitempty"`
	Hold      semper.Holding  `json:"hold"`
	Deadline  semper.Duration `json:"deadline"` // the longest that requests would wait
	// Done is how it ended in this environment already: it would not run.
	Done *semper.Migrated `json:"done,omitempty"`
	// Elsewhere is how the same release's ended in another environment, In: as long is to be expected.
	Elsewhere *semper.Migrated  `json:"elsewhere,omitempty"`
	In        string            `json:"in,omitempty"`
	Limits    semper.HoldLimits `json:"limits"` // of who waits
}

// PlanEffect is what happens to one service.
type PlanEffect struct {
	Service   string `json:"service"`
	Effect    string `json:"effect"` // "keep", "restart", "new", "stop"; "move" of what ends: its next run is in the new release
	Instances int    `json:"instances"`
	Runs      string `json:"runs,omitempty"` // when, of a service that ends: its schedule, or "when asked"
	Why       string `json:"why"`
}

// PlanStep is one state the rollout will pass.
type PlanStep struct {
	State semper.RolloutState `json:"state"`
	What  string              `json:"what"`
}

// Status is an environment as seen now.
type Status struct {
	App         string                               `json:"app"`
	Environment string                               `json:"environment"`
	Release     semper.ReleaseName                   `json:"release"`
	Previous    semper.ReleaseName                   `json:"previous"`
	Warm        bool                                 `json:"warm"` // previous still runs: a rollback is one table back
	WarmUntil   time.Time                            `json:"warm_until,omitzero"`
	PinnedUntil time.Time                            `json:"pinned_until,omitzero"` // previous serves the clients that stick to it
	Epoch       semper.Epoch                         `json:"epoch"`
	Revision    int64                                `json:"revision"`
	Hold        semper.Holds                         `json:"hold,omitempty"`
	Rollout     *RolloutStatus                       `json:"rollout"`
	Instances   []Instance                           `json:"instances"`
	Tasks       []task.Task                          `json:"tasks,omitempty"` // that have not ended, and of what no cron is the newest that have
	Crons       []CronInfo                           `json:"crons,omitempty"`
	Scale       map[string]int                       `json:"scale"`
	Scaling     []Scaling                            `json:"scaling,omitempty"` // services that are scaled by themselves, by name
	Routes      []semper.RouteRule                   `json:"routes"`
	Ledger      map[semper.ReleaseName]semper.Ledger `json:"ledger"`
	Edges       []semper.EdgeState                   `json:"edges,omitempty"`
	Warnings    []string                             `json:"warnings,omitempty"`
}

// Certificate is how it stands with the certificate of a host.
type Certificate struct {
	Host     string    `json:"host"`
	Source   string    `json:"source"`             // of what is served: "file", "acme", "local"; "" while there is none
	NotAfter time.Time `json:"not_after,omitzero"` // zero where it is made when it is asked for
	Error    string    `json:"error,omitempty"`    // why there is no new one
	Advice   string    `json:"advice,omitempty"`   // what to do about it
	Next     time.Time `json:"next,omitzero"`      // when it is tried again
}

// RolloutStatus is the newest rollout in brief; Step is the state in words with what it waits for.
type RolloutStatus struct {
	ID        string               `json:"id"`
	Kind      semper.RolloutKind   `json:"kind"`
	State     semper.RolloutState  `json:"state"`
	Step      string               `json:"step"`
	Reason    string               `json:"reason"`
	From      semper.ReleaseName   `json:"from"`
	To        semper.ReleaseName   `json:"to"`
	By        string               `json:"by,omitempty"`
	Epoch     semper.Epoch         `json:"epoch,omitempty"`
	StartedAt time.Time            `json:"started_at"`
	EndedAt   time.Time            `json:"ended_at,omitzero"`
	Deadline  time.Time            `json:"deadline,omitzero"`
	Instance  semper.InstanceID    `json:"instance,omitempty"`
	Tail      []string             `json:"tail,omitempty"`
	Steps     []semper.RolloutStep `json:"steps,omitempty"`
	// Trial is how far it is with the steps of its release, which are Way. Its verdict is the judge's newest.
	Trial  *semper.Trial `json:"trial,omitempty"`
	Way    []semper.Step `json:"way,omitempty"`
	Hotfix string        `json:"hotfix,omitempty"` // why it leaves out the steps
	// Migration is how far it is with the migration of its release; nil before that, and where there is none.
	Migration *semper.MigrationRun `json:"migration,omitempty"`
}

// Instance is one copy with its judged state.
type Instance struct {
	ID        semper.InstanceID    `json:"id"`
	Service   string               `json:"service"`
	Release   semper.ReleaseName   `json:"release"`
	State     semper.InstanceState `json:"state"`
	Role      string               `json:"role"` // "current", "migration", "candidate", "baseline", "warm", "retiring"
	PID       int                  `json:"pid"`
	Address   string               `json:"address"`
	Restarts  int                  `json:"restarts"`
	StartedAt time.Time            `json:"started_at,omitzero"`
	InFlight  int                  `json:"in_flight"`
	Reason    string               `json:"reason,omitempty"` // why it is not ready
	Warning   string               `json:"warning,omitempty"`
}

// The states of a unit that ends, the command of a migration: it is never ready for anything.
const (
	UnitRunning semper.InstanceState = "running"
	UnitDone    semper.InstanceState = "done"
	UnitFailed  semper.InstanceState = "failed"
)

// UnitState says in those words where a unit is that ends.
func UnitState(s semper.InstanceState, end *semper.End) semper.InstanceState {
	switch {
	case s != semper.Ended:
		return UnitRunning
	case end != nil && end.Reason.Kind == semper.ReasonNormal:
		return UnitDone
	}
	return UnitFailed
}

// Overview is every environment in brief.
type Overview struct {
	Environments []Status `json:"environments"`
}

// ReleaseInfo is a release and where it stands.
type ReleaseInfo struct {
	semper.Release
	Name   semper.ReleaseName `json:"name"`
	State  string             `json:"state"` // "current", "previous", "warm", "" …
	Size   int64              `json:"size"`  // of the artifact, bytes
	Stored bool               `json:"stored"`
}

// ReleaseDiff is what differs between two releases, one change per line.
type ReleaseDiff struct {
	From    semper.ReleaseName `json:"from"`
	To      semper.ReleaseName `json:"to"`
	Changes []string           `json:"changes"`
}

// GCReport is what `release gc` removed (or would).
type GCReport struct {
	Removed []string `json:"removed"`
	Bytes   int64    `json:"bytes"`
	Kept    int      `json:"kept"`
	DryRun  bool     `json:"dry_run"`
}

// The kinds of a TreeNode. Supervisors are in the keeper and, below a process, in its program.
const (
	NodeMachine    = "node"       // the root: a machine
	NodeSupervisor = "supervisor" // it restarts what is below it
	NodeProcess    = "process"    // of the operating system
	NodeActor      = "actor"      // a process of package actor in a program
	NodeService    = "service"    // a goroutine that is supervised
	NodeChild      = "child"      // anything else that is supervised in a program, and what does not run there
)

// TreeNode is one node of the one tree: a machine, its keeper, the supervisors and operating-system processes of that,
// and what their programs tell of themselves. Of a program nothing is proven.
type TreeNode struct {
	Name      string    `json:"name"` // in a program the id of the child
	Kind      string    `json:"kind"`
	Label     string    `json:"label,omitempty"` // in a program: what it is called besides
	Strategy  string    `json:"strategy,omitempty"`
	Intensity string    `json:"intensity,omitempty"` // "5 in 1m0s"
	Window    int       `json:"restarts_in_window"`
	State     string    `json:"state"`
	PID       int       `json:"pid,omitempty"`     // of the operating system
	Process   string    `json:"process,omitempty"` // of an actor: its number in its program, "<17>"
	Restarts  int       `json:"restarts"`
	StartedAt time.Time `json:"started_at,omitzero"` // in a program: when State began
	Reason    string    `json:"reason,omitempty"`    // last end

	// Of what is in a program.
	Mailbox   int       `json:"mailbox,omitempty"`   // messages that wait
	Messages  uint64    `json:"messages,omitempty"`  // handled
	Dropped   uint64    `json:"dropped,omitempty"`   // that found the mailbox full
	Blocking  []string  `json:"blocking,omitempty"`  // who blocks the stop of this supervisor
	Abandoned int       `json:"abandoned,omitempty"` // of a program's root: killed goroutines that have not returned
	StaleFrom time.Time `json:"stale_from,omitzero"` // of a program's root: it did not answer in time, and told this then

	Children []TreeNode `json:"children,omitempty"`
	More     int        `json:"more,omitempty"` // children that are not listed
}

// Trouble tells whether n is not as it should be: what a list cut short has to show first.
func (n TreeNode) Trouble() bool {
	switch n.State {
	case "running", "ready", "up", "":
		return n.Window > 0 || n.Dropped > 0
	}
	return true
}

// Shown are at most limit of n's children, those in trouble first when that is not all of them, and how many more there are.
func (n TreeNode) Shown(limit int) (children []TreeNode, more int) {
	if len(n.Children) <= limit {
		return n.Children, n.More
	}
	children = slices.Clone(n.Children)
	slices.SortStableFunc(children, func(a, b TreeNode) int { return rank(a) - rank(b) })
	return children[:limit], n.More + len(children) - limit
}

func rank(n TreeNode) int {
	if n.Trouble() {
		return 0
	}
	return 1
}

// Traffic is what all edges do now.
type Traffic struct {
	At   time.Time    `json:"at,omitzero"` // zero where no edge runs
	Rows []TrafficRow `json:"rows"`
	// Silent are edges that did not answer: what they do is missing.
	Silent []string `json:"silent,omitempty"`
}

// TrafficRow is what one release does behind one route. All but the rates and what is in flight is of the last ten seconds.
// App is empty for requests that have no route.
type TrafficRow struct {
	App         string             `json:"app"`
	Environment string             `json:"environment"`
	Service     string             `json:"service"`
	Release     semper.ReleaseName `json:"release"`
	Arm         semper.Arm         `json:"arm,omitempty"` // while the service is on trial
	Route       string             `json:"route"`         // host and path: "shop.example/cart"
	// Requests that ended, per second, over the last 1, 10 and 60 seconds.
	Rate1  float64 `json:"rate_1s"`
	Rate10 float64 `json:"rate_10s"`
	Rate60 float64 `json:"rate_60s"`

	InFlight int64           `json:"in_flight"`
	Status   TrafficStatuses `json:"status"`
	Latency  TrafficLatency  `json:"latency"`  // as clients saw it
	Upstream TrafficLatency  `json:"upstream"` // of the tries at instances

	Retries        uint64 `json:"retries"`
	Held           uint64 `json:"held"`            // let go after they had waited in a hold
	Shed           uint64 `json:"shed"`            // refused to protect the rest
	UpstreamErrors uint64 `json:"upstream_errors"` // tries that brought no answer
}

// TrafficStatuses are requests by the class of their status.
type TrafficStatuses struct {
	Informational uint64 `json:"1xx"` // 101: protocols were switched
	Success       uint64 `json:"2xx"`
	Redirect      uint64 `json:"3xx"`
	ClientError   uint64 `json:"4xx"`
	ServerError   uint64 `json:"5xx"`
	None          uint64 `json:"none"` // the client went first
}

// Total is all of them.
func (s TrafficStatuses) Total() uint64 {
	return s.Informational + s.Success + s.Redirect + s.ClientError + s.ServerError + s.None
}

// TrafficLatency is quantiles in seconds, each within one percent; zero when nothing was measured.
type TrafficLatency struct {
	P50 float64 `json:"p50_seconds"`
	P95 float64 `json:"p95_seconds"`
	P99 float64 `json:"p99_seconds"`
}

// Exposition is an edge's metrics as a scrape gets them.
type Exposition struct {
	ContentType string
	Text        []byte
}

// LogLine is one line an instance printed.
type LogLine struct {
	Instance semper.InstanceID  `json:"instance"`
	Release  semper.ReleaseName `json:"release"`
	Line     string             `json:"line"`
}

// LogQuery selects log lines.
type LogQuery struct {
	App, Environment, Service, Release, Instance string
	Tail                                         int // last lines per instance; 0 for a default of 100
	Follow                                       bool
}

// Check is one line of doctor.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status"` // "ok", "warn", "fail"
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// UpgradeStep is one line of an upgrade's progress.
type UpgradeStep struct {
	Part   string `json:"part"` // "keeper", "store", "control", "queue", "edge"
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
	Error  string `json:"error,omitempty"`
}

// ServerInfo is the server's own identity.
type ServerInfo struct {
	Version   string   `json:"version"`
	Dir       string   `json:"dir"`
	HTTP      []string `json:"http"`
	HTTPS     []string `json:"https,omitempty"`
	API       []string `json:"api"`
	KeeperPID int      `json:"keeper_pid"`
}

// AutoScale, in place of a number of instances, has a service scaled by itself again.
const AutoScale = -1

// Scaling is how it stands with a service that is scaled by itself.
type Scaling struct {
	App     string          `json:"app"`
	Service string          `json:"service"`
	Min     int             `json:"min"`
	Max     int             `json:"max"`
	Now     int             `json:"now"`   // instances that should run
	Ready   int             `json:"ready"` // of them
	Want    int             `json:"want"`
	Need    int             `json:"need"` // that the load asks for, whatever may run
	Why     string          `json:"why"`
	Load    float64         `json:"load"`           // requests in flight and waiting, averaged over some seconds
	Idle    semper.Duration `json:"idle,omitempty"` // since it had anything to do
	ByHand  bool            `json:"by_hand,omitempty"`
}
