package pipeline

import (
	"fmt"
	"slices"
	"time"

	"semper"
	"semper/pipeline/course"
)

// A Caller is who gives a command, as the API knows him.
type Caller struct {
	Name   string
	Role   string
	Groups []string
}

// is reports whether one of names is the caller's, one of his groups' or his role.
func (c Caller) is(names []string) bool {
	return slices.Contains(names, c.Name) || slices.Contains(names, c.Role) ||
		slices.ContainsFunc(c.Groups, func(g string) bool { return slices.Contains(names, g) })
}

// Begin is a new run of a release.
func Begin(p semper.Pipeline, rel semper.Release, number int64, by string, now time.Time) (course.Run, []semper.Event, error) {
	if len(p.Stages) == 0 {
		return course.Run{}, nil, &semper.Error{
			Code: semper.NotFound, Op: "pipeline run", Message: rel.App + " has no pipeline",
			Hint: `name its environments in semper.yaml: "environments: {beta: {…}, production: {after: beta}}"`,
		}
	}
	r := course.Run{
		ID: fmt.Sprintf("p-%d", number), Number: number, App: rel.App, Release: rel.Name(), Artifact: rel.Artifact, Config: rel.Config,
		Pipeline: p, State: course.Running, By: by, StartedAt: now,
	}
	for _, s := range p.Stages {
		stage := course.Stage{Environment: s.Environment, State: course.StagePending}
		for _, g := range s.Gates {
			stage.Gates = append(stage.Gates, course.Gate{Gate: g.Name, State: course.GatePending})
		}
		r.Stages = append(r.Stages, stage)
	}
	return r, []semper.Event{event(r, "pipeline.begun", "", by, fmt.Sprintf("%s begun by %s: %s on its way to %s", r.ID, orSomebody(by), r.Release, p.Stages[len(p.Stages)-1].Environment), now)}, nil
}

func event(r course.Run, kind, environment, by, message string, now time.Time) semper.Event {
	return semper.Event{At: now, Kind: kind, App: r.App, Environment: environment, Release: r.Release, Run: r.ID, By: by, Message: message}
}

// asking is the approval that a run waits for.
func asking(r *course.Run) (*course.Stage, *course.Gate, semper.Gate, bool) {
	if r.State != course.Running || r.At >= len(r.Stages) {
		return nil, nil, semper.Gate{}, false
	}
	s := &r.Stages[r.At]
	for i := range s.Gates {
		def := r.Pipeline.Stages[r.At].Gates[i]
		if def.Kind == semper.GateApproval && s.Gates[i].State == course.GateRunning {
			return s, &s.Gates[i], def, true
		}
	}
	return nil, nil, semper.Gate{}, false
}

// Asks reports whether a run waits for somebody's yes: before which environment, and of whom.
func Asks(r course.Run) (environment string, of []string, ok bool) {
	s, _, def, ok := asking(&r)
	if !ok {
		return "", nil, false
	}
	return s.Environment, def.Approvers, true
}

// Approve is somebody's yes, with the statement of it.
func Approve(run course.Run, who Caller, why string, now time.Time) (Decision, error) {
	run = clone(run)
	s, g, def, ok := asking(&run)
	if !ok {
		return Decision{}, notAsking(run, "approve")
	}
	if !who.is(def.Approvers) {
		return Decision{}, &semper.Error{
			Code: semper.Forbidden, Op: "approve",
			Message: fmt.Sprintf("%s (%s) may not approve %s of %s: it takes one of %s", who.Name, orNone(who.Role), run.Release, s.Environment, among(def.Approvers)),
			Hint:    "ask one of them; semper user list shows who is what",
		}
	}
	d := &step{Decision: Decision{Run: run, Changed: true}, w: World{Now: now}}
	g.By = who.Name
	if def.Expires > 0 {
		g.Expires = now.Add(def.Expires.D())
	}
	d.pass(s, def, g, why)
	for i := range d.Events {
		d.Events[i].Kind, d.Events[i].By = "gate.approved", who.Name
		d.Events[i].Message = fmt.Sprintf("%s said yes to %s in %s: %s", who.Name, run.Release, s.Environment, orNone(why))
	}
	return d.Decision, nil
}

// Reject ends a run: somebody's no. Who may deploy may say it.
func Reject(run course.Run, who Caller, why string, now time.Time) (Decision, error) {
	if run.State != course.Running {
		return Decision{}, notAsking(run, "reject")
	}
	d := &step{Decision: Decision{Run: clone(run), Changed: true}, w: World{Now: now}}
	reason := "rejected by " + who.Name
	if why != "" {
		reason += ": " + why
	}
	d.end(course.Rejected, reason)
	d.Events[0].By = who.Name
	return d.Decision, nil
}

func notAsking(run course.Run, op string) error {
	msg := fmt.Sprintf("%s waits for no yes", run.ID)
	if run.State != course.Running {
		msg = fmt.Sprintf("%s has ended: %s", run.ID, run.State)
	}
	return &semper.Error{Code: semper.Conflict, Op: op, Message: msg, Hint: "semper pipeline show " + run.ID}
}

// Rerun has a run that failed, or was rejected, go on from where it ended: gates that failed are passed anew, those that were passed stay so.
// others are the other runs of the app: behind a newer one there is nothing to go on with.
func Rerun(run course.Run, others []course.Run, by string, now time.Time) (Decision, error) {
	if run.State != course.Failed && run.State != course.Rejected || run.At >= len(run.Stages) {
		return Decision{}, &semper.Error{Code: semper.Conflict, Op: "rerun", Message: fmt.Sprintf("%s is %s: nothing of it is to be done again", run.ID, run.State), Hint: "semper pipeline run begins another"}
	}
	at := step{Decision: Decision{Run: run}, w: World{Others: others}}
	if newer, ok := at.behind(run.Stages[run.At].Environment); ok {
		return Decision{}, &semper.Error{
			Code: semper.Conflict, Op: "rerun", Message: fmt.Sprintf("%s with %s, which is newer, has entered %s", newer.ID, newer.Release, run.Stages[run.At].Environment),
			Hint: "semper pipeline run begins another",
		}
	}
	run = clone(run)
	s, failed := &run.Stages[run.At], false
	for i, g := range s.Gates {
		if g.State == course.GateFailed || g.State == course.GateRunning {
			failed = failed || g.State == course.GateFailed
			s.Gates[i] = course.Gate{Gate: g.Gate, State: course.GatePending, Attempt: g.Attempt}
		}
	}
	if s.State == course.StageDeploy || s.State == course.StageLive && !failed { // its rollout failed, or was turned back: it is entered again
		s.State, s.Rollout, s.Trial = course.StageBefore, "", nil
	}
	run.State, run.EndedAt, run.Reason = course.Running, time.Time{}, ""
	return Decision{Run: run, Changed: true, Events: []semper.Event{
		event(run, "pipeline.again", s.Environment, by, fmt.Sprintf("%s goes on at %s, asked by %s", run.ID, s.Environment, orSomebody(by)), now),
	}}, nil
}

func orSomebody(s string) string {
	if s == "" {
		return "somebody"
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
