package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"semper"
	"semper/api"
	"semper/pipeline"
	"semper/pipeline/course"
)

// Begin begins a run of a release.
func (d *Desk) Begin(o Office, c *Change, rel semper.Release, number int64, by string) (course.Run, error) {
	policy := c.policy(rel.App)
	run, events, err := pipeline.Begin(policy, rel, number, by, o.Now())
	if err != nil {
		return run, err
	}
	c.SetRun(run)
	o.Tell(events...)
	return run, nil
}

// A Verb is a command about a run.
type Verb string

// The verbs.
const (
	Approve Verb = "approve"
	Reject  Verb = "reject"
	Rerun   Verb = "rerun"
)

// Command performs a verb on the run of an id; without one on that it can be about, if it is only one. What somebody may not is in c as an event, to
// be stored though there is an error.
func (d *Desk) Command(o Office, c *Change, verb Verb, app, id, why string, caller api.Caller) (course.Run, error) {
	run, err := d.find(verb, app, id)
	if err != nil {
		return course.Run{}, err
	}
	who := pipeline.Caller{Name: orNobody(caller.Name), Role: string(caller.Role), Groups: caller.Groups}
	var dec pipeline.Decision
	switch {
	case !caller.Role.Includes(api.Deployer):
		err = &semper.Error{Code: semper.Forbidden, Op: string(verb), Message: fmt.Sprintf("%s (%s) may look, and this takes a %s", who.Name, orNobody(who.Role), api.Deployer), Hint: "an admin may change that: semper user add"}
	case verb == Approve:
		dec, err = pipeline.Approve(run, who, why, o.Now())
	case verb == Reject:
		dec, err = pipeline.Reject(run, who, why, o.Now())
	case verb == Rerun:
		others := slices.DeleteFunc(d.records.Runs(run.App), func(other course.Run) bool { return other.ID == run.ID })
		dec, err = pipeline.Rerun(run, others, who.Name, o.Now())
	}
	if refused, ok := errors.AsType[*semper.Error](err); ok && refused.Code == semper.Forbidden {
		o.Tell(semper.Event{
			At: o.Now(), Kind: "pipeline.refused", App: run.App, Release: run.Release, Run: run.ID, By: who.Name,
			Message: fmt.Sprintf("%s of %s refused: %s", verb, run.ID, refused.Message),
		})
	}
	if err != nil {
		return course.Run{}, err
	}
	return dec.Run, d.take(o, c, dec)
}

// fits reports whether a verb can be about a run.
func (v Verb) fits(r course.Run) bool {
	switch v {
	case Approve:
		_, _, ok := pipeline.Asks(r)
		return ok
	case Reject:
		return r.State == course.Running
	}
	return r.State == course.Failed || r.State == course.Rejected
}

func (d *Desk) find(verb Verb, app, id string) (course.Run, error) {
	var found []string
	var first course.Run
	for _, r := range d.records.Runs(app) {
		if id != "" && r.ID == id {
			return r, nil
		}
		if verb.fits(r) {
			if len(found) == 0 {
				first = r
			}
			found = append(found, r.ID)
		}
	}
	op := string(verb)
	switch {
	case id != "":
		return course.Run{}, &semper.Error{Code: semper.NotFound, Op: op, Message: fmt.Sprintf("no run %q", id), Hint: "semper pipeline list shows those there are"}
	case len(found) == 0:
		return course.Run{}, &semper.Error{Code: semper.Conflict, Op: op, Message: "no run that this could be about", Hint: "semper pipeline list shows what runs wait for"}
	case len(found) > 1 && verb != Rerun: // of those that have ended, the newest is meant
		return course.Run{}, &semper.Error{Code: semper.Invalid, Op: op, Message: "several runs could be meant: " + strings.Join(found, ", "), Hint: "say which"}
	}
	return first, nil
}

// SetLine stops the line of an app, or of all where that is empty, or lets it go on. A switch that stands so already is left alone.
func (d *Desk) SetLine(o Office, c *Change, app string, stopped bool, why, by string) course.Line {
	old := d.records.Line(app)
	if old.Stopped == stopped && (why == "" || old.Why == why) {
		return old
	}
	l := course.Line{App: app, Stopped: stopped, Why: why, By: orNobody(by), At: o.Now()}
	c.SetLine(l)
	kind, msg, of := "line.stopped", "nothing is promoted any more", app
	if !stopped {
		kind, msg = "line.resumed", "promotions go on"
	}
	if of == "" {
		of = "all apps"
	}
	msg = fmt.Sprintf("%s has the line of %s: %s", l.By, of, msg)
	if why != "" {
		msg += ": " + why
	}
	o.Tell(semper.Event{At: o.Now(), Kind: kind, App: app, By: l.By, Message: msg})
	return l
}
