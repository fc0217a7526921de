package semper

import (
	"encoding/json"
	"maps"
	"slices"
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
		svc.Env = with(svc.Env, o.Env)
		if n, ok := o.Scale[name]; ok {
			svc.Instances, svc.Autoscale = n, nil
		}
		s.Services[name] = svc
	}
	if s.Migrate != nil {
		m := *s.Migrate
		m.Env, s.Migrate = with(m.Env, o.Env), &m
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

func with(env, over map[string]EnvVar) map[string]EnvVar {
	out := maps.Clone(env)
	if out == nil && len(over) > 0 {
		return maps.Clone(over)
	}
	maps.Copy(out, over)
	return out
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
