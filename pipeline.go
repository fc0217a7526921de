package semper

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// An Overlay is what a release has otherwise in one environment. It is part of the release: the same artifact and the same
// configuration go through all environments, and what differs was said beforehand.
type Overlay struct {
	Env   map[string]EnvVar `json:"env,omitempty"`   // of every service, over its own
	Scale map[string]int    `json:"scale,omitempty"` // instances of a service
	// Hosts are the hosts of routes by those they have in place of; "*" is for routes of any host.
	Hosts map[string]string `json:"hosts,omitempty"`
}

// In is s as it is run in an environment.
func (s Spec) In(environment string) Spec {
	o, ok := s.Environments[environment]
	s.Environments = nil
	if !ok {
		return s
	}
	s.Services = maps.Clone(s.Services)
	for name, svc := range s.Services {
		if len(o.Env) > 0 {
			svc.Env = maps.Clone(svc.Env)
			if svc.Env == nil {
				svc.Env = make(map[string]EnvVar, len(o.Env))
			}
			maps.Copy(svc.Env, o.Env)
		}
		if n, ok := o.Scale[name]; ok {
			svc.Instances = n
		}
		s.Services[name] = svc
	}
	s.Routes = slices.Clone(s.Routes)
	for i := range s.Routes {
		of := s.Routes[i].Host
		if of == "" {
			of = "*"
		}
		if host, ok := o.Hosts[of]; ok {
			s.Routes[i].Host = host
		}
	}
	return s
}

// A Pipeline is the way of an app's releases through its environments, and what has to hold on it. It is no part of a
// release: a release cannot say what it needs not prove.
type Pipeline struct {
	App      string    `json:"app"`
	Stages   []Stage   `json:"stages"` // in the order in which releases pass them
	Webhooks []Webhook `json:"webhooks,omitempty"`
}

// A Stage is one environment of a pipeline.
type Stage struct {
	Environment string `json:"environment"`
	After       string `json:"after,omitempty"` // the environment a release comes from; empty for the first
	Gates       []Gate `json:"gates,omitempty"` // in the order in which they are passed
	// Requires are the gates whose statements let a release in, as "beta/tests".
	Requires    []string    `json:"requires,omitempty"`
	Concurrency Concurrency `json:"concurrency,omitempty"`
}

// Concurrency is what becomes of a run that waits before an environment when a newer one comes there.
type Concurrency string

// What may become of it. Supersede is the same as none.
const (
	Supersede Concurrency = "supersede" // it ends: the newer one goes on
	Queue     Concurrency = "queue"     // the newer one waits until it has left
)

// GateKind is what a gate looks at.
type GateKind string

// The kinds of gate.
const (
	GateCommand  GateKind = "run"      // a command exits with 0
	GateHTTP     GateKind = "http"     // a GET is answered with a status
	GateSoak     GateKind = "soak"     // the release has run in the environment before for a time
	GateApproval GateKind = "approval" // somebody who may has said yes
	GateWindow   GateKind = "window"   // it is a time at which changes are allowed
	GateCanary   GateKind = "canary"   // the traffic steps of the rollout were passed by verdict
	GateShadow   GateKind = "shadow"   // its shadow steps were
)

// GateWhen is when a gate is looked at.
type GateWhen string

// The times of a gate.
const (
	GateBefore GateWhen = "before" // the release enters the environment
	GateLive   GateWhen = "live"   // the release serves there
)

// A Gate is a condition that must hold before a promotion goes on.
type Gate struct {
	Name      string            `json:"name"` // unique in its stage
	Kind      GateKind          `json:"kind"`
	When      GateWhen          `json:"when"`
	Timeout   Duration          `json:"timeout,omitempty"`   // of Run and HTTP
	Command   []string          `json:"command,omitempty"`   // of Run: argv, in the artifact of the release
	Env       map[string]EnvVar `json:"env,omitempty"`       // of Run, besides what semper gives
	Report    string            `json:"report,omitempty"`    // of Run: the JUnit XML it leaves, below its scratch
	URL       string            `json:"url,omitempty"`       // of HTTP
	Expect    int               `json:"expect,omitempty"`    // of HTTP: the status
	For       Duration          `json:"for,omitempty"`       // of Soak
	Approvers []string          `json:"approvers,omitempty"` // of Approval: names of users, groups or roles
	Expires   Duration          `json:"expires,omitempty"`   // of Approval: how long a yes holds
	Window    *Window           `json:"window,omitempty"`
}

// Definition is the digest of all that a gate asks for: what was passed under another is another gate.
func (g Gate) Definition() Digest {
	b, err := json.Marshal(g)
	if err != nil {
		return "" // of no statement; a gate always marshals
	}
	return DigestOf(b)
}

// A Window is when changes are allowed: within Allow, where that is given, and never within Deny. See pipeline/window.
type Window struct {
	Allow string `json:"allow,omitempty"`
	Deny  string `json:"deny,omitempty"`
	Zone  string `json:"zone,omitempty"` // of IANA's; empty: UTC
}

// A Webhook is told the events of an app.
type Webhook struct {
	URL      string   `json:"url"`
	Secret   string   `json:"secret"`             // its name
	Events   []string `json:"events,omitempty"`   // kinds, "gate.*" for all that begin so; none: all
	Internal bool     `json:"internal,omitempty"` // link-local addresses are allowed, where machines of clouds keep their own credentials
}

// RunState is what became of a run.
type RunState string

// The states of a run of a pipeline.
const (
	RunRunning    RunState = "running"
	RunPassed     RunState = "passed"
	RunFailed     RunState = "failed"
	RunRejected   RunState = "rejected"
	RunSuperseded RunState = "superseded"
)

// A Run is the way of one release through a pipeline.
type Run struct {
	ID        string      `json:"id"` // "p-7", unique in the installation
	Number    int64       `json:"number"`
	App       string      `json:"app"`
	Release   ReleaseName `json:"release"`
	Artifact  Digest      `json:"artifact"`
	Config    Digest      `json:"config"`
	Pipeline  Pipeline    `json:"pipeline"` // as it was in force when the run began
	State     RunState    `json:"state"`
	At        int         `json:"at"` // index in Stages
	Stages    []RunStage  `json:"stages"`
	By        string      `json:"by,omitempty"`
	StartedAt time.Time   `json:"started_at"`
	EndedAt   time.Time   `json:"ended_at,omitzero"`
	Reason    string      `json:"reason,omitempty"` // why it ended before its end
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

// A RunStage is a run in one environment.
type RunStage struct {
	Environment string     `json:"environment"`
	State       StageState `json:"state"`
	Rollout     string     `json:"rollout,omitempty"`
	LiveAt      time.Time  `json:"live_at,omitzero"`
	Trial       *Trial     `json:"trial,omitempty"` // of Rollout, as it was when the release was live
	Gates       []GateRun  `json:"gates,omitempty"`
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

// A GateRun is a gate in a run.
type GateRun struct {
	Gate      string     `json:"gate"`
	State     GateState  `json:"state"`
	Attempt   int        `json:"attempt,omitempty"` // from 1
	StartedAt time.Time  `json:"started_at,omitzero"`
	EndedAt   time.Time  `json:"ended_at,omitzero"`
	Deadline  time.Time  `json:"deadline,omitzero"`
	Expires   time.Time  `json:"expires,omitzero"` // of a yes
	Unit      InstanceID `json:"unit,omitempty"`   // that runs the command
	Exit      int        `json:"exit,omitempty"`
	Tail      []string   `json:"tail,omitempty"` // last lines it printed
	By        string     `json:"by,omitempty"`
	Why       string     `json:"why,omitempty"`       // what came of it
	Statement string     `json:"statement,omitempty"` // its name; empty where the gate leaves none
}

// A Line is the switch that stops all promotions of an app, or of all apps.
type Line struct {
	App     string    `json:"app,omitempty"` // empty: all
	Stopped bool      `json:"stopped"`
	Why     string    `json:"why,omitempty"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at"`
}
