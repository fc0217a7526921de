package task

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"semper"
)

// A State is where a task is.
type State string

// The states of a task.
const (
	Queued   State = "queued"   // it waits for its start; Why says for what
	Starting State = "starting" // its unit was asked for
	Running  State = "running"
	Done     State = "done"    // exit code 0
	Failed   State = "failed"  // any other end that nobody asked for
	Stopped  State = "stopped" // somebody ended it, or another run took its place
)

// Ended reports whether nothing more happens in this state.
func (s State) Ended() bool { return s == Done || s == Failed || s == Stopped }

// Verb says it as the end of a sentence about a task: "t-17 failed".
func (s State) Verb() string {
	switch s {
	case Failed:
		return "failed"
	case Stopped:
		return "was stopped"
	}
	return "is " + string(s)
}

// A Task is one execution of a command of a release.
type Task struct {
	ID          string `json:"id"` // "t-17": never given twice
	App         string `json:"app"`
	Environment string `json:"environment"`
	// Service is whose environment variables, user and limits it has, and whose command where it has none of its own.
	Service string             `json:"service"`
	Command []string           `json:"command,omitempty"` // argv in place of the service's
	Release semper.ReleaseName `json:"release,omitempty"` // from its start on
	State   State              `json:"state"`
	// Due is the due time that it is the run of; zero where somebody asked for it.
	Due     time.Time `json:"due,omitzero"`
	By      string    `json:"by,omitempty"`
	AskedAt time.Time `json:"asked_at"`
	// Deadline is how long it may take from its start; Until is when that is over.
	Deadline  semper.Duration   `json:"deadline"`
	StartedAt time.Time         `json:"started_at,omitzero"`
	Until     time.Time         `json:"until,omitzero"`
	EndedAt   time.Time         `json:"ended_at,omitzero"`
	Unit      semper.InstanceID `json:"unit,omitempty"` // from its start on
	Why       string            `json:"why,omitempty"`  // it waits, failed, or was stopped, in words
	Stop      *Stop             `json:"stop,omitempty"` // it is to end
	End       *semper.End       `json:"end,omitempty"`
	// Skipped counts the due times that passed because it still ran (overlap: skip).
	Skipped int `json:"skipped,omitempty"`
}

// Stop is the wish that a task end.
type Stop struct {
	By  string    `json:"by,omitempty"`
	Why string    `json:"why,omitempty"`
	At  time.Time `json:"at"`
}

// Number of the task: 17 for "t-17", 0 for what is none.
func (t Task) Number() int64 { return number(t.ID) }

func number(id string) int64 {
	digits, ok := strings.CutPrefix(id, prefix)
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		return 0
	}
	return n
}

// Key of the environment that it runs in.
func (t Task) Key() semper.EnvironmentKey {
	return semper.Environment{App: t.App, Name: t.Environment}.Key()
}

// Active reports whether a unit of t runs, or may.
func (t Task) Active() bool { return t.State == Starting || t.State == Running }

// Took is how long it ran; zero for one that did not.
func (t Task) Took() time.Duration {
	if t.End != nil {
		return t.End.Uptime.D()
	}
	return 0
}

// prefix of the ids of tasks.
const prefix = "t-"

// unitOf is the name of t's unit: "shop/report.r42.t-17".
func (t Task) unitOf(release semper.ReleaseName) semper.InstanceID {
	app := t.App
	if t.Environment != semper.DefaultEnvironment {
		app += "@" + t.Environment
	}
	return semper.InstanceID(fmt.Sprintf("%s/%s.%s.%s", app, t.Service, release, t.ID))
}

// IDOf is the id of the task whose unit that is; "" for an instance of anything else.
func IDOf(unit semper.InstanceID) string {
	id := string(unit)
	if id = id[strings.LastIndexByte(id, '.')+1:]; number(id) == 0 {
		return ""
	}
	return id
}

// Spec is what t's keeper needs to run it: the service as it is in rel, once, until the deadline. Its standard error has a file of its own.
func (t Task) Spec(rel semper.Release) semper.InstanceSpec {
	svc := rel.Spec.Services[t.Service]
	svc.Type, svc.Restart, svc.Listen, svc.Liveness = semper.Task, semper.Temporary, "", nil
	svc.Health = semper.Health{Kind: semper.HealthNone}
	svc.Instances, svc.Pool, svc.Jobs, svc.Task, svc.Protocol = 1, nil, nil, nil, ""
	if len(t.Command) > 0 {
		svc.Command = t.Command
	}
	return semper.InstanceSpec{
		ID: t.Unit, App: t.App, Environment: t.Environment, Service: t.Service, Release: t.Release, Artifact: rel.Artifact,
		Spec: svc, Until: t.Until, Apart: true,
	}
}
