package config

import (
	"fmt"
	"maps"

	"semper"
	"semper/rollout"
)

type migrateFormat struct {
	Command   command                  `yaml:"command" jsonschema:"required,example=./manage migrate" doc:"What to run, in the unpacked artifact of the new release, before that gets its traffic. It runs once per release and environment, and has migrated when it exits with 0."`
	Env       map[string]semper.EnvVar `yaml:"env" jsonschema:"example={DATABASE_URL: {secret: database_url}}" doc:"Environment variables of it, besides those at the top level."`
	Hold      string                   `yaml:"hold" jsonschema:"enum=all,enum=writes,enum=none,default=all" doc:"Which requests wait while it runs: all, writes (unsafe methods: POST, PUT, PATCH, DELETE), or none. It begins when those before them have ended, and they go on to the new release."`
	Deadline  semper.Duration          `yaml:"deadline" jsonschema:"example=20s" doc:"How long it may take, with the wait for requests that are under way. Then it is stopped, and has failed. As long as a request may wait (hold.age) when left out, so that none is turned away; 5m where nothing waits."`
	OnFailure command                  `yaml:"on_failure" jsonschema:"example=./manage migrate --undo" doc:"Runs after a migration that failed, before the old release serves again. It may take as long. Nothing when left out."`
	Stop      stop                     `yaml:"stop" doc:"How it is asked to end at its deadline."`
	Limits    limits                   `yaml:"limits" doc:"What it may use, where the machine has cgroups."`
	User      string                   `yaml:"user" jsonschema:"pattern=^[A-Za-z0-9_][A-Za-z0-9_.-]{0\\,31}$,example=www-data" doc:"OS user to run as, as of a service."`
}

// migrate looks at what a release needs done once.
func (c *checker) migrate() {
	m := c.f.Migrate
	if !c.given("migrate") || c.hasProblem("migrate") {
		return
	}
	c.env("migrate.env", m.Env)
	if s, ok := c.f.Services[rollout.MigrateService]; ok && (len(s.Command) > 0 || s.Type != "") {
		c.misplaced("services."+rollout.MigrateService, fmt.Sprintf("%q is what the migration itself is called among the services", rollout.MigrateService), "call the service something else")
	}
	whole := semper.Spec{Hold: semper.HoldLimits{Age: c.f.Hold.Age}, Migrate: &semper.Migration{Hold: semper.Holding(m.Hold), Deadline: m.Deadline}}.WithDefaults()
	if held := whole.Migrate.Hold != semper.HoldNone; held && whole.Migrate.Deadline > whole.Hold.Age {
		c.problem("migrate.deadline", fmt.Sprintf("a migration of %s would turn away who waits for longer than %s (hold.age)", whole.Migrate.Deadline, whole.Hold.Age),
			"let requests wait as long (hold: {age: …}), take less time, or hold none")
	}
}

// buildMigrate is what the file says of migrations, nil where it says nothing.
func (c *checker) buildMigrate() *semper.Migration {
	if !c.given("migrate") {
		return nil
	}
	m := c.f.Migrate
	out := &semper.Migration{
		Service: semper.Service{
			Command: m.Command, User: m.User, Stop: semper.Stop(m.Stop),
			Limits: semper.Limits{Memory: int64(m.Limits.Memory), CPU: m.Limits.CPU, PIDs: m.Limits.PIDs, Log: int64(m.Limits.Log)},
		},
		Hold: semper.Holding(m.Hold), Deadline: m.Deadline, OnFailure: m.OnFailure,
	}
	if len(c.f.Env)+len(m.Env) > 0 {
		out.Env = make(map[string]semper.EnvVar)
		maps.Copy(out.Env, c.f.Env)
		maps.Copy(out.Env, m.Env)
		for name := range c.f.Env {
			c.inherit("migrate", name)
		}
	}
	return out
}
