package semper

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Spec says what an app is made of. It is semper.yaml after interpolation and defaults:
// everything a release needs besides its artifact.
type Spec struct {
	App      string             `json:"app"`
	Services map[string]Service `json:"services"`
	Routes   []RouteRule        `json:"routes,omitempty"`
	// Warm is how long the old release stays running after a cutover; within it a rollback is one
	// route table back, and a crash loop of the new release rolls back by itself.
	Warm  Duration       `json:"warm"`
	Drain DrainDeadlines `json:"drain"`
	Hold  HoldLimits     `json:"hold"`
	// Deploy is how a release earns its traffic; nil gives it all at once.
	Deploy *Deploy `json:"deploy,omitempty"`
	// Migrate is what a release needs done once between the readiness of its instances and its cutover; nil for nothing.
	Migrate *Migration `json:"migrate,omitempty"`
	// Environments are what is otherwise in some of them. See In.
	Environments map[string]Overlay `json:"environments,omitempty"`
}

// ServiceType says what a service takes.
type ServiceType string

// The service types.
const (
	Web    ServiceType = "web"    // takes HTTP
	Worker ServiceType = "worker" // takes jobs; only routes whose requests are done later lead to it
	Task   ServiceType = "task"   // runs once, when somebody asks
	Cron   ServiceType = "cron"   // runs once each time it is due
)

// A Migration is a command that runs once per release and environment, and what waits for it.
type Migration struct {
	Service
	Hold Holding `json:"hold"`
	// Deadline is for all of it: until what is held has drained, and until the command has ended.
	Deadline Duration `json:"deadline"`
	// OnFailure is the argv of what runs after a command that failed, before the old release serves again. It may take as long.
	OnFailure []string `json:"on_failure,omitempty"`
}

// Holding says which requests wait.
type Holding string

// The kinds of holding.
const (
	HoldAll    Holding = "all"
	HoldWrites Holding = "writes" // unsafe methods (RFC 9110, 9.2.1)
	HoldNone   Holding = "none"
)

// A Service is one program of an app, run as Instances identical copies.
type Service struct {
	Type      ServiceType       `json:"type"`
	Command   []string          `json:"command"`             // argv; run in the unpacked artifact
	Env       map[string]EnvVar `json:"env,omitempty"`       // in addition to what semper gives
	Instances int               `json:"instances"`           // ≥ 0
	Autoscale json.RawMessage   `json:"autoscale,omitempty"` // by what their number changes by itself, as package autoscale writes it; without one it does not
	Listen    Listen            `json:"listen,omitempty"`    // a worker that does gets its jobs as requests
	Protocol  Protocol          `json:"protocol,omitempty"`  // of one that listens
	Pool      json.RawMessage   `json:"pool,omitempty"`      // how the edge treats its instances: an object whose keys are those of semper.yaml
	Health    Health            `json:"health"`              // readiness
	Liveness  *Health           `json:"liveness,omitempty"`
	Stop      Stop              `json:"stop"`
	Limits    Limits            `json:"limits"`
	Restart   Restart           `json:"restart"`
	Intensity Intensity         `json:"intensity"`
	Backoff   Backoff           `json:"backoff"`
	Jobs      json.RawMessage   `json:"jobs,omitempty"`    // how its queue is worked, as package queue writes it; without one it has no queue
	Drain     Duration          `json:"drain,omitempty"`   // how long a worker may go on with what it has once it takes no more; 0: as long as it takes
	Quiesce   json.RawMessage   `json:"quiesce,omitempty"` // how a worker with a broker of its own is told so: see package rollout/quiesce
	Task      json.RawMessage   `json:"task,omitempty"`    // of a task or cron: when and for how long it runs, as package task writes it
	User      string            `json:"user,omitempty"`    // strict when set; empty lets semper choose the least privilege it can give
}

// An EnvVar is a value, or a reference to a secret by name. Exactly one is set.
type EnvVar struct {
	Value  string `json:"value,omitempty"`
	Secret string `json:"secret,omitempty"` // never interpolated, never printed
}

// Listen says how an instance is reached.
type Listen string

// The ways to reach an instance.
const (
	ListenPort   Listen = "port"   // PORT holds a TCP port on 127.0.0.1
	ListenSocket Listen = "socket" // SOCKET holds the path of a unix socket to listen on
)

// Protocol is the HTTP that an instance is spoken to in.
type Protocol string

// The protocols.
const (
	ProtocolH1  Protocol = "h1"  // HTTP/1.1; the same as none
	ProtocolH2C Protocol = "h2c" // HTTP/2 without TLS, as gRPC servers speak it
)

// HealthKind is how a check looks at an instance.
type HealthKind string

// The kinds of check.
const (
	HealthNone   HealthKind = "none"   // ready as soon as it runs (workers without a check)
	HealthHTTP   HealthKind = "http"   // GET Path answers 200-399
	HealthTCP    HealthKind = "tcp"    // the port (or socket) accepts
	HealthExec   HealthKind = "exec"   // Exec, run as the instance's user in its artifact, exits 0
	HealthNotify HealthKind = "notify" // the instance sends READY=1 to NOTIFY_SOCKET (sd_notify)
)

// Health is one check, of readiness or of liveness.
type Health struct {
	Kind     HealthKind `json:"kind"`
	Path     string     `json:"path,omitempty"`
	Exec     []string   `json:"exec,omitempty"`
	Interval Duration   `json:"interval"`
	Timeout  Duration   `json:"timeout"`
	Grace    Duration   `json:"grace"`    // how long a new instance may take to become ready
	Failures int        `json:"failures"` // consecutive failures that make a ready instance not ready (or not alive)
}

// Stop is how an instance is asked to end: Signal, then after Timeout SIGKILL to everything it started.
type Stop struct {
	Signal  string   `json:"signal"` // "SIGTERM"
	Timeout Duration `json:"timeout"`
}

// Limits bound an instance where the machine has cgroups. Zero means no limit.
type Limits struct {
	Memory int64   `json:"memory,omitempty"` // bytes
	CPU    float64 `json:"cpu,omitempty"`    // cores
	PIDs   int     `json:"pids,omitempty"`
	Log    int64   `json:"log"` // bytes of output kept on disk
}

// Restart says which ends of a unit its supervisor answers with a restart (OTP's restart types).
type Restart string

// The restart types.
const (
	Permanent Restart = "permanent" // always
	Transient Restart = "transient" // only after an abnormal end
	Temporary Restart = "temporary" // never
)

// Intensity is how many restarts a supervisor allows within a period (inclusive) before it gives up.
type Intensity struct {
	Restarts int      `json:"restarts"`
	Within   Duration `json:"within"`
}

// Backoff is the pause before a restart: none before the first, then Min growing by Factor up to
// Max, from the start again after Reset of healthy running.
type Backoff struct {
	Min    Duration `json:"min"`
	Max    Duration `json:"max"`
	Factor float64  `json:"factor"`
	Reset  Duration `json:"reset"`
}

// A RouteRule sends requests of a host (empty: any) below a path prefix to a service, or has them answered by the edge.
type RouteRule struct {
	Host string `json:"host,omitempty"`
	Path string `json:"path"`
	To   string `json:"to,omitempty"` // empty where there is an Answer
	// StickFor is how long after a cutover a client goes on being served by the release before, if it has come to know that one.
	StickFor Duration `json:"stick_for,omitempty"`
	Files    bool     `json:"files,omitempty"` // its Answer is files of the release's artifact
	Async    bool     `json:"async,omitempty"` // its requests are written down, acknowledged, and done later
	RouteWords
}

// DrainDeadlines bound how long a connection class may finish what it has after a cutover.
type DrainDeadlines struct {
	Request   Duration `json:"request"`   // ordinary HTTP exchanges
	Stream    Duration `json:"stream"`    // text/event-stream responses
	WebSocket Duration `json:"websocket"` // upgraded connections; then closed with 1012, paced
}

// HoldLimits bound what a hold may keep waiting. Over a bound the edge sheds with 503 and Retry-After.
type HoldLimits struct {
	Requests int      `json:"requests"` // how many at once
	Bytes    int64    `json:"bytes"`    // of buffered request bodies
	Age      Duration `json:"age"`      // how long one may wait
	Rate     int      `json:"rate"`     // requests per second let go on resume
}

// Duration is a time.Duration that reads and prints as "1m30s" in JSON.
type Duration time.Duration

// D is the duration as the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String prints d as time.Duration does.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText prints d as "1m30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what [time.ParseDuration] reads.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if *d = Duration(v); err != nil {
		return fmt.Errorf("%q is not a duration like \"30s\" or \"168h\"", b)
	}
	return nil
}

// WithDefaults is s with every zero setting replaced by its documented default. It does not validate.
func (s Spec) WithDefaults() Spec {
	or(&s.Warm, Duration(5*time.Minute))
	or(&s.Drain.Request, Duration(30*time.Second))
	or(&s.Drain.Stream, Duration(30*time.Second))
	or(&s.Drain.WebSocket, Duration(60*time.Second))
	or(&s.Hold.Requests, 1000)
	or(&s.Hold.Bytes, 64<<20)
	or(&s.Hold.Age, Duration(30*time.Second))
	or(&s.Hold.Rate, 500)
	services := make(map[string]Service, len(s.Services))
	for name, svc := range s.Services {
		services[name] = svc.withDefaults()
	}
	s.Services = services
	if s.Deploy != nil {
		d := *s.Deploy
		or(&d.Baseline, BaselineFresh)
		s.Deploy = &d
	}
	if s.Migrate != nil {
		m := *s.Migrate
		m.Type, m.Restart = Task, Temporary
		m.Service = m.withDefaults()
		if or(&m.Hold, HoldAll); m.Hold == HoldNone {
			or(&m.Deadline, Duration(5*time.Minute))
		}
		or(&m.Deadline, s.Hold.Age) // nobody is turned away by a migration that takes too long
		s.Migrate = &m
	}
	return s
}

// Pulls reports whether instances of s ask for their jobs themselves.
func (s Service) Pulls() bool { return s.Type == Worker && s.Jobs != nil && s.Listen == "" }

// Pooled reports whether edges send requests, or jobs as requests, to instances of s.
func (s Service) Pooled() bool {
	return s.Type == Web || s.Type == Worker && s.Jobs != nil && s.Listen != ""
}

func (s Service) withDefaults() Service {
	or(&s.Type, Web)
	or(&s.Restart, Permanent)
	if s.Type == Web {
		or(&s.Listen, ListenPort)
	}
	if s.Listen != "" {
		or(&s.Health.Kind, HealthTCP)
	}
	if s.Pulls() { // its first claim is its word that it is ready
		or(&s.Health.Kind, HealthNotify)
	}
	or(&s.Health.Kind, HealthNone)
	s.Health = s.Health.withDefaults()
	if s.Liveness != nil {
		l := s.Liveness.withDefaults()
		s.Liveness = &l
	}
	or(&s.Stop.Signal, "SIGTERM")
	or(&s.Stop.Timeout, Duration(10*time.Second))
	or(&s.Limits.Log, 64<<20)
	or(&s.Intensity.Restarts, 5)
	or(&s.Intensity.Within, Duration(time.Minute))
	or(&s.Backoff.Min, Duration(100*time.Millisecond))
	or(&s.Backoff.Max, Duration(10*time.Second))
	or(&s.Backoff.Factor, 2.0)
	or(&s.Backoff.Reset, Duration(30*time.Second))
	return s
}

func (h Health) withDefaults() Health {
	or(&h.Interval, Duration(time.Second))
	or(&h.Timeout, Duration(time.Second))
	or(&h.Grace, Duration(30*time.Second))
	or(&h.Failures, 3)
	return h
}

// or sets *p to v where it holds its zero value.
func or[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// UnmarshalJSON refuses what is not a whole EnvVar: both or neither of value and secret.
func (e *EnvVar) UnmarshalJSON(b []byte) error {
	type plain EnvVar
	if err := json.Unmarshal(b, (*plain)(e)); err != nil {
		return err
	}
	if e.Value != "" && e.Secret != "" {
		return &Error{Code: Invalid, Op: "read environment variable", Message: "value and secret exclude each other"}
	}
	return nil
}
