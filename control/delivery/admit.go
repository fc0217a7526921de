package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"semper"
	"semper/api"
	"semper/pipeline"
)

// Admit refuses a release that an environment must not have, unless an admin leaves the gates out.
// What is let in is noted in c.
func (d *Desk) Admit(o Office, c *Change, environment string, rel semper.Release, r api.DeployRequest, who api.Caller) error {
	if err := d.Declare(o, c, r, who); err != nil {
		return err
	}
	about := pipeline.SubjectOf(rel)
	policy, ok := c.policy(rel.App)
	if _, gated := pipeline.StageOf(policy, environment); !ok || !gated {
		if r.Hotfix != "" {
			c.Serve(rel.App, environment, about)
		}
		return nil
	}
	if r.Hotfix != "" {
		if !who.Role.Includes(api.Admin) {
			return &semper.Error{Code: semper.Forbidden, Op: "deploy", Message: fmt.Sprintf("%s is no admin, and leaving the gates of %s out takes one", orNobody(who.Name), environment), Hint: "semper pipeline run takes the way through them"}
		}
		o.Tell(semper.Event{
			At: o.Now(), Kind: "pipeline.hotfix", App: rel.App, Environment: environment, Release: rel.Name(), By: who.Name,
			Message: fmt.Sprintf("%s lets %s into %s without its gates: %s", who.Name, rel.Name(), environment, r.Hotfix),
		})
		c.Serve(rel.App, environment, about)
		return nil
	}
	if err := pipeline.Admit(policy, environment, rel.Name(), about, c.Proofs(rel.App, about), d.records.Stopped(rel.App), o.Now()); err != nil {
		return err
	}
	c.Serve(rel.App, environment, about)
	return nil
}

// AdmitBack lets a release back into an environment that it was in before: turning back must always be possible, with the line stopped
// and in a freeze too. Another one has to pass the gates like any.
func (d *Desk) AdmitBack(o Office, e semper.Environment, rel semper.Release) error {
	about := pipeline.SubjectOf(rel)
	policy, _ := d.records.Policy(rel.App)
	if e.Previous != nil && e.Previous.Release == rel.Name() || d.records.Served(rel.App, e.Name, about) {
		return nil
	}
	return pipeline.Admit(policy, e.Name, rel.Name(), about, d.records.Proofs(rel.App, about), d.records.Stopped(rel.App), o.Now())
}

func orNobody(name string) string {
	if name == "" {
		return "nobody known"
	}
	return name
}

// policy is the pipeline of an app that is in force after c.
func (c *Change) policy(app string) (semper.Pipeline, bool) {
	if c.declared != nil && c.declared.App == app {
		return *c.declared, true
	}
	return c.desk.records.Policy(app)
}

// Declare puts the pipeline of a request in force. The first is anybody's who may deploy: it can only add to nothing. A change takes an admin,
// else who may deploy could do away with what keeps him from it.
func (d *Desk) Declare(o Office, c *Change, r api.DeployRequest, who api.Caller) error {
	if r.Pipeline == nil {
		return nil
	}
	p := *r.Pipeline
	p.App = r.Spec.App
	p, problems := pipeline.Complete(p)
	if len(problems) > 0 {
		return &semper.Error{Code: semper.Invalid, Op: "pipeline", Message: problems[0].String(), Hint: problems[0].Hint}
	}
	old, known := d.records.Policy(p.App)
	if known && samePipeline(old, p) {
		return nil
	}
	if known && !who.Role.Includes(api.Admin) {
		return &semper.Error{
			Code: semper.Forbidden, Op: "pipeline", Message: fmt.Sprintf("the pipeline of %s in this file is not the one in force, and %s is no admin", p.App, orNobody(who.Name)),
			Hint: "semper pipeline show prints the one in force; an admin who deploys the file puts it in force",
		}
	}
	c.declared = &p
	c.SetPolicy(p)
	names := make([]string, len(p.Stages))
	for i, s := range p.Stages {
		names[i] = s.Environment
	}
	o.Tell(semper.Event{
		At: o.Now(), Kind: "pipeline.changed", App: p.App, By: orNobody(who.Name),
		Message: fmt.Sprintf("%s put a pipeline in force: %s, %d webhooks", orNobody(who.Name), strings.Join(names, " → "), len(p.Webhooks)),
	})
	return nil
}

// samePipeline compares as JSON, which is how one of them was read.
func samePipeline(a, b semper.Pipeline) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
