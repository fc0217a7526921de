package task

import (
	"encoding/json"
	"fmt"
	"time"

	"semper"
	"semper/task/schedule"
)

// Overlap is what becomes of a due time while the run before has not ended.
type Overlap string

// What may become of it. Skip is the same as none.
const (
	Skip    Overlap = "skip"    // it passes
	Queue   Overlap = "queue"   // its run waits for the end of those before it
	Replace Overlap = "replace" // the run before is stopped, and its own starts when that has ended
)

// DefaultDeadline is how long a task may take where nobody says.
const DefaultDeadline = 24 * time.Hour

// mostQueued is how many due times of one cron may wait for the end of a run; more pass as with Skip.
const mostQueued = 10

// Settings are what semper.yaml says of a service of type task or cron, as they stand in [semper.Service].Task.
type Settings struct {
	Deadline semper.Duration `json:"deadline,omitempty"` // of one run; 0: DefaultDeadline
	Schedule string          `json:"schedule,omitempty"` // of a cron: see package schedule
	Zone     string          `json:"timezone,omitempty"` // of IANA's; empty: UTC
	Overlap  Overlap         `json:"overlap,omitempty"`
	// Jitter is how far the starts of crons with one schedule are spread: each is late by a part of it that is always the same.
	Jitter semper.Duration `json:"jitter,omitempty"`
	// StartingDeadline is how late a run may start, after downtime or a migration; 0: however late. What is later is missed.
	StartingDeadline semper.Duration `json:"starting_deadline,omitempty"`
}

// Of are the settings of a service; the zero value where it has none.
func Of(svc semper.Service) (Settings, error) {
	var s Settings
	if len(svc.Task) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(svc.Task, &s); err != nil {
		return s, &semper.Error{Code: semper.Invalid, Op: "task", Message: "its settings cannot be read", Err: err}
	}
	return s, nil
}

// Raw is s as a service keeps it: without what is so anyway, so that a release is the same whether it is written out or not.
func (s Settings) Raw() json.RawMessage {
	if s.Deadline.D() == DefaultDeadline {
		s.Deadline = 0
	}
	if s.Zone == "UTC" {
		s.Zone = ""
	}
	if s.Overlap == Skip {
		s.Overlap = ""
	}
	b, err := json.Marshal(s)
	if err != nil { // numbers and text
		return nil
	}
	return b
}

// A Fault is what is wrong with a setting, by its key.
type Fault struct{ Key, Message, Hint string }

// Check tells what is wrong with the settings of a service of that type; nothing where all is well.
func (s Settings) Check(kind semper.ServiceType) []Fault {
	var out []Fault
	for _, d := range []struct {
		key string
		d   semper.Duration
	}{{"deadline", s.Deadline}, {"jitter", s.Jitter}, {"starting_deadline", s.StartingDeadline}} {
		if d.d < 0 {
			out = append(out, Fault{d.key, fmt.Sprintf("%s is less than no time", d.d), ""})
		}
	}
	if kind != semper.Cron {
		if s.Schedule != "" {
			out = append(out, Fault{"schedule", "only a cron has a schedule", `add "type: cron"`})
		}
		return out
	}
	if s.Schedule == "" {
		return append(out, Fault{"schedule", "a cron needs a schedule", `add one: schedule: "*/5 * * * *"`})
	}
	if _, err := schedule.Parse(s.Schedule, ""); err != nil {
		out = append(out, Fault{"schedule", message(err), semper.HintOf(err)})
	}
	if _, err := schedule.Parse("@daily", s.Zone); err != nil {
		out = append(out, Fault{"timezone", message(err), semper.HintOf(err)})
	}
	switch s.Overlap {
	case "", Skip, Queue, Replace:
	default:
		out = append(out, Fault{"overlap", fmt.Sprintf("%q is not known", s.Overlap), "skip, queue or replace"})
	}
	return out
}

// message is what err says without what it was said about.
func message(err error) string {
	if e, ok := err.(*semper.Error); ok { //nolint:errorlint // package schedule wraps nothing
		return e.Message
	}
	return err.Error()
}

// deadline of one run.
func (s Settings) deadline() semper.Duration {
	if s.Deadline > 0 {
		return s.Deadline
	}
	return semper.Duration(DefaultDeadline)
}
