package config

import (
	"fmt"
	"slices"
	"strings"

	"semper"
	"semper/task"
)

// The keys of a service that only one kind of service has.
var (
	ofCron    = []string{"schedule", "timezone", "overlap", "jitter", "starting_deadline"}
	ofLasting = []string{"instances", "scale", "listen", "health", "liveness", "restart", "intensity", "backoff", "jobs", "drain", "quiesce"}
)

// ends tells a service whose runs end: a task or a cron.
func (s service) ends() bool {
	return s.Type == string(semper.Task) || s.Type == string(semper.Cron)
}

// runs looks at how a service runs that ends, and that no other is said to run so.
func (c *checker) runs(path string, s service) {
	if !s.ends() {
		for _, key := range append([]string{"deadline"}, ofCron...) {
			if c.given(path + "." + key) {
				c.misplaced(path+"."+key, fmt.Sprintf("%q is of what ends, and a %s runs all the time", key, s.kind()), `remove it, or set "type: cron"`)
			}
		}
		return
	}
	for _, key := range ofLasting {
		if c.given(path + "." + key) {
			c.misplaced(path+"."+key, fmt.Sprintf("%q is of what runs all the time, and a %s ends", key, s.kind()), "remove it")
		}
	}
	if s.Type == string(semper.Task) {
		for _, key := range ofCron {
			if c.given(path + "." + key) {
				c.misplaced(path+"."+key, "only a cron is due: a task runs when somebody asks", `remove it, or set "type: cron"`)
			}
		}
		s.runs = runs{Deadline: s.Deadline}
	}
	for _, f := range s.runs.settings().Check(semper.ServiceType(s.Type)) {
		switch at := path + "." + f.Key; {
		case c.hasProblem(at):
		case c.given(at):
			c.problem(at, f.Message, f.Hint)
		default:
			c.misplaced(path, f.Message, f.Hint)
		}
	}
}

// settings are r as package task has them.
func (r runs) settings() task.Settings {
	return task.Settings{
		Deadline: r.Deadline, Schedule: r.Schedule, Zone: r.Timezone, Overlap: task.Overlap(r.Overlap), Jitter: r.Jitter, StartingDeadline: r.Starting,
	}
}

// means tells whether a setting is one that a service of s's kind has.
func (s service) means(setting string) bool {
	switch {
	case setting == "deadline":
		return s.ends()
	case slices.Contains(ofCron, setting):
		return s.Type == string(semper.Cron)
	}
	for _, key := range ofLasting {
		if s.ends() && (setting == key || strings.HasPrefix(setting, key+".")) {
			return false
		}
	}
	return true
}
