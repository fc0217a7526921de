package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

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
	policy := c.policy(rel.App)
	if err := admitted(policy, environment, rel, r.Hotfix, who, c.Proofs(rel.App, about), d.records.Stopped(rel.App), o.Now()); err != nil {
		return err
	}
	_, gated := pipeline.StageOf(policy, environment)
	if gated && r.Hotfix != "" {
		o.Tell(semper.Event{
			At: o.Now(), Kind: "pipeline.hotfix", App: rel.App, Environment: environment, Release: rel.Name(), By: who.Name,
			Message: fmt.Sprintf("%s lets %s into %s without its gates: %s", who.Name, rel.Name(), environment, r.Hotfix),
		})
	}
	if gated || r.Hotfix != "" {
		c.Serve(rel.App, environment, about)
	}
	return nil
}

// admitted says whether policy lets a release into an environment, for who leaves its gates out, or by what was proven of it.
func admitted(policy semper.Pipeline, environment string, rel semper.Release, hotfix string, who api.Caller, proofs []pipeline.Proof, stopped string, now time.Time) error {
	switch _, gated := pipeline.StageOf(policy, environment); {
	case !gated:
		return nil
	case hotfix == "":
		return pipeline.Admit(policy, environment, rel.Name(), pipeline.SubjectOf(rel), proofs, stopped, now)
	case !who.Role.Includes(api.Admin):
		return &semper.Error{Code: semper.Forbidden, Op: "deploy", Message: fmt.Sprintf("%s is no admin, and leaving the gates of %s out takes one", orNobody(who.Name), environment), Hint: "semper pipeline run takes the way through them"}
	}
	return nil
}

// Refusal is what Admit would answer; nil where it would let the release in.
func (v *View) Refusal(environment string, rel semper.Release, r api.DeployRequest, who api.Caller, now time.Time) error {
	policy, known := v.records.Policy(rel.App)
	next, err := declared(policy, known, r, who)
	if err != nil {
		return err
	}
	if next != nil {
		policy = *next
	}
	return admitted(policy, environment, rel, r.Hotfix, who, v.records.Proofs(rel.App, pipeline.SubjectOf(rel)), v.records.Stopped(rel.App), now)
}

// Words are those of an error without what was to be done; empty for none.
func Words(err error) string {
	var e *semper.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return ""
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
func (c *Change) policy(app string) semper.Pipeline {
	if c.declared != nil && c.declared.App == app {
		return *c.declared
	}
	p, _ := c.desk.records.Policy(app)
	return p
}

// Declare puts the pipeline of a request in force.
func (d *Desk) Declare(o Office, c *Change, r api.DeployRequest, who api.Caller) error {
	old, known := d.records.Policy(r.Spec.App)
	p, err := declared(old, known, r, who)
	if err != nil || p == nil {
		return err
	}
	c.declared = p
	c.SetPolicy(*p)
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

// declared is the pipeline that a request puts in force in place of old; nil where that stays. The first is anybody's who may deploy: it can
// only add to nothing. A change takes an admin, else who may deploy could do away with what keeps him from it.
func declared(old semper.Pipeline, known bool, r api.DeployRequest, who api.Caller) (*semper.Pipeline, error) {
	if r.Pipeline == nil {
		return nil, nil
	}
	p := *r.Pipeline
	p.App = r.Spec.App
	p, problems := pipeline.Complete(p)
	switch {
	case len(problems) > 0:
		return nil, &semper.Error{Code: semper.Invalid, Op: "pipeline", Message: problems[0].String(), Hint: problems[0].Hint}
	case known && samePipeline(old, p):
		return nil, nil
	case known && !who.Role.Includes(api.Admin):
		return nil, &semper.Error{
			Code: semper.Forbidden, Op: "pipeline", Message: fmt.Sprintf("the pipeline of %s in this file is not the one in force, and %s is no admin", p.App, orNobody(who.Name)),
			Hint: "semper pipeline show prints the one in force; an admin who deploys the file puts it in force",
		}
	}
	return &p, nil
}

// samePipeline compares as JSON, which is how one of them was read.
func samePipeline(a, b semper.Pipeline) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
