package pipeline

import (
	"fmt"
	"time"

	"semper"
	"semper/pipeline/course"
)

// UnitService is what the service of a gate's command is called before the gate's name; no service of an app can be.
const UnitService = "gate:"

// gates moves on at the gates of a stage that are looked at at one time, in their order. passed: all of them are.
func (d *step) gates(s *course.Stage, when semper.GateWhen) (passed, moved bool) {
	for i := range s.Gates {
		def, g := d.stage().Gates[i], &s.Gates[i]
		if def.When != when || g.State == course.GatePassed {
			continue
		}
		switch g.State {
		case course.GateFailed:
			d.end(course.Failed, fmt.Sprintf("gate %s of %s: %s", g.Gate, s.Environment, g.Why))
			return false, true
		case course.GatePending:
			d.begin(s, def, g)
			return false, true
		}
		return false, d.look(s, def, g)
	}
	return true, false
}

// begin begins with a gate, or takes the statement that is there already.
func (d *step) begin(s *course.Stage, def semper.Gate, g *course.Gate) {
	now := d.w.Now
	if p, ok := d.proven(s.Environment, def); ok {
		g.State, g.StartedAt, g.EndedAt, g.Why, g.By, g.Expires, g.Statement = course.GatePassed, now, p.At, "passed before, by "+p.Run, p.By, p.Expires, p.Name()
		d.event("gate.passed", s.Environment, fmt.Sprintf("%s has passed %s before, by %s", d.Run.Release, def.Name, p.Run))
		return
	}
	g.State, g.Attempt, g.StartedAt = course.GateRunning, g.Attempt+1, now
	switch def.Kind {
	case semper.GateCommand:
		g.Deadline = now.Add(def.Timeout.D())
		g.Unit = unitID(d.Run, s.Environment, *g)
	case semper.GateHTTP:
		g.Deadline = now.Add(def.Timeout.D())
	}
	kind, msg := "gate.begun", fmt.Sprintf("%s of %s begins for %s", def.Name, s.Environment, d.Run.Release)
	if def.Kind == semper.GateApproval {
		kind, msg = "gate.asks", fmt.Sprintf("%s waits before %s for a yes of %s", d.Run.Release, s.Environment, among(def.Approvers))
	}
	d.event(kind, s.Environment, msg)
}

// proven is a statement that saves passing a gate again: what was seen of the release does not change. What hangs on the time is looked at anew.
func (d *step) proven(environment string, def semper.Gate) (Proof, bool) {
	switch def.Kind {
	case semper.GateCommand, semper.GateCanary, semper.GateShadow, semper.GateApproval:
		for _, p := range d.w.Proofs {
			if counts(p, d.Run.App, environment, def, Subject{d.Run.Artifact, d.Run.Config}, d.w.Now) == "" {
				return p, true
			}
		}
	}
	return Proof{}, false
}

// look looks at a gate that was begun, and reports whether anything changed.
func (d *step) look(s *course.Stage, def semper.Gate, g *course.Gate) bool {
	switch def.Kind {
	case semper.GateCommand:
		return d.runs(s, def, g)
	case semper.GateHTTP:
		return d.asks(s, def, g)
	case semper.GateSoak:
		return d.soak(s, def, g)
	case semper.GateApproval:
		d.Waiting = fmt.Sprintf("a yes of %s to %s", among(def.Approvers), s.Environment)
		d.Person = true
		return false
	case semper.GateWindow:
		open, next := isOpen(def, d.w.Now)
		if open {
			return d.pass(s, def, g, "open"+untilWords(next))
		}
		d.Waiting = fmt.Sprintf("%s is frozen (%s)%s", s.Environment, frozen(def), untilWords(next))
		d.wake(next)
		return false
	case semper.GateCanary:
		return d.judged(s, def, g, semper.StepTraffic)
	case semper.GateShadow:
		return d.judged(s, def, g, semper.StepShadow)
	}
	return d.fail(s, g, fmt.Sprintf("unknown kind %q", def.Kind))
}

// runs waits for a command.
func (d *step) runs(s *course.Stage, def semper.Gate, g *course.Gate) bool {
	u, known := d.w.Units[g.Unit]
	switch {
	case known && u.Ended && u.End == nil: // stopped before it had begun
		return d.fail(s, g, "it was ended before it ran")
	case known && u.Ended:
		g.Exit, g.Tail = u.End.Reason.Code, u.End.Tail
		if def.Report != "" && (u.End.Reason.Kind == semper.ReasonNormal || u.End.Reason.Kind == semper.ReasonExit) {
			return d.reports(s, def, g, u)
		}
		if u.End.Reason.Kind == semper.ReasonNormal {
			return d.pass(s, def, g, fmt.Sprintf("exit code 0 after %s", u.End.Uptime.D().Round(time.Millisecond)))
		}
		return d.fail(s, g, u.End.Reason.String())
	case !d.w.Now.Before(g.Deadline):
		return d.fail(s, g, fmt.Sprintf("it took longer than %s", def.Timeout))
	case !known:
		d.Commands = append(d.Commands, Start{d.unit(s.Environment, def, g)})
	}
	d.Waiting = fmt.Sprintf("%s of %s to end", def.Name, s.Environment)
	d.wake(g.Deadline)
	return false
}

// reports passes a command by what it says of its tests. The exit code has a say too: what failed beside the tests failed.
func (d *step) reports(s *course.Stage, def semper.Gate, g *course.Gate, u Unit) bool {
	key, end := answerKey(d.Run, s.Environment, *g), u.End.Reason
	a, answered := d.w.Answers[key]
	switch {
	case !answered:
		d.Commands = append(d.Commands, Read{Key: key, Dir: u.Scratch, Path: def.Report})
		d.Waiting = fmt.Sprintf("the report of %s", def.Name)
		return false
	case a.Good && end.Kind == semper.ReasonNormal:
		return d.pass(s, def, g, fmt.Sprintf("%s in %s", a.What, u.End.Uptime.D().Round(time.Millisecond)))
	case a.Good:
		return d.fail(s, g, fmt.Sprintf("%s, though %s", end, a.What))
	}
	return d.fail(s, g, fmt.Sprintf("%s (%s)", a.What, end))
}

// answerKey names the answer to what a gate asks in one attempt.
func answerKey(r course.Run, environment string, g course.Gate) string {
	return fmt.Sprintf("%s/%s/%s.%d", r.ID, environment, g.Gate, g.Attempt)
}

func unitID(r course.Run, environment string, g course.Gate) semper.InstanceID {
	return semper.InstanceID(fmt.Sprintf("%s@%s/gate-%s.%s.%s.%d", r.App, environment, g.Gate, r.Release, r.ID, g.Attempt))
}

// unit is a gate's command as its keeper runs it: once, as the least privileged user there is, in the release's artifact, with a directory of its own to write to.
func (d *step) unit(environment string, def semper.Gate, g *course.Gate) semper.InstanceSpec {
	svc := semper.Spec{Services: map[string]semper.Service{"gate": {
		Type: semper.Worker, Command: def.Command, Env: def.Env, Instances: 1, Restart: semper.Temporary,
		Limits: semper.Limits{PIDs: 1024},
	}}}.WithDefaults().Services["gate"]
	return semper.InstanceSpec{
		ID: g.Unit, App: d.Run.App, Environment: environment, Service: UnitService + def.Name, Release: d.Run.Release,
		Artifact: d.Run.Artifact, Spec: svc,
	}
}

// asks waits for an answer.
func (d *step) asks(s *course.Stage, def semper.Gate, g *course.Gate) bool {
	key := answerKey(d.Run, s.Environment, *g)
	a, answered := d.w.Answers[key]
	switch {
	case answered && a.Good:
		return d.pass(s, def, g, a.What)
	case answered:
		return d.fail(s, g, a.What)
	case d.w.Now.After(g.Deadline.Add(lostAnswer)): // nobody asked in time
		return d.fail(s, g, fmt.Sprintf("no answer within %s", def.Timeout))
	}
	d.Commands = append(d.Commands, Ask{Key: key, URL: def.URL, Expect: def.Expect, Until: g.Deadline})
	d.Waiting = fmt.Sprintf("%s to answer %d", def.URL, def.Expect)
	d.wake(g.Deadline.Add(lostAnswer))
	return false
}

// lostAnswer is how long after its deadline an answer may still come.
const lostAnswer = 5 * time.Second

// soak waits until the release has run in the environment before for a time. The time counts from when the release was live there,
// or, when the clock was set back behind that, from the moment that was seen.
func (d *step) soak(s *course.Stage, def semper.Gate, g *course.Gate) bool {
	from := d.stage().After
	if why := d.gone(from); why != "" {
		d.end(course.Failed, "the soak broke off: "+why)
		return true
	}
	before := &d.Run.Stages[d.indexOf(from)]
	if before.LiveAt.After(d.w.Now) {
		d.event("gate.clock", s.Environment, fmt.Sprintf("the clock was set back: %s of %s begins again", def.Name, s.Environment))
		before.LiveAt = d.w.Now
		return true
	}
	until := before.LiveAt.Add(def.For.D())
	if d.w.Now.Before(until) {
		d.Waiting = fmt.Sprintf("%s to have run in %s for %s (until %s)", d.Run.Release, from, def.For, until.UTC().Format(time.TimeOnly))
		d.wake(until)
		return false
	}
	return d.pass(s, def, g, fmt.Sprintf("%s in %s", d.w.Now.Sub(before.LiveAt).Round(time.Second), from))
}

func (d *step) indexOf(environment string) int {
	for i, s := range d.Run.Stages {
		if s.Environment == environment {
			return i
		}
	}
	return 0 // Check has seen to it that the environment before is there
}

// judged passes on what the rollout's own steps have shown.
func (d *step) judged(s *course.Stage, def semper.Gate, g *course.Gate, kind semper.StepKind) bool {
	if s.Trial == nil {
		return d.fail(s, g, "the rollout was not judged: the release has no deploy steps, was a hotfix, or is the first there, with nothing to compare it with")
	}
	n := 0
	for _, p := range s.Trial.Passed {
		if p.Kind != kind {
			continue
		}
		n++
		switch {
		case p.By != "":
			return d.fail(s, g, fmt.Sprintf("%s had the step of %g %% left before its verdict", p.By, p.Share*100))
		case p.Verdict == nil || p.Verdict.Outcome != semper.BetterOrEqual:
			return d.fail(s, g, fmt.Sprintf("the step of %g %% was left without a verdict of %s", p.Share*100, semper.BetterOrEqual))
		}
	}
	if n == 0 {
		return d.fail(s, g, fmt.Sprintf("the rollout has no step of %s", kind))
	}
	return d.pass(s, def, g, fmt.Sprintf("%d of %d steps of %s by verdict", n, n, kind))
}

// pass leaves a statement, except of a window: that it is open says nothing of the release.
func (d *step) pass(s *course.Stage, def semper.Gate, g *course.Gate, why string) bool {
	g.State, g.EndedAt, g.Why = course.GatePassed, d.w.Now, why
	if def.Kind != semper.GateWindow {
		p := passed(d.Run, s.Environment, def, *g)
		g.Statement = p.Name()
		d.Statements = append(d.Statements, p)
		// What is decided next may hang on it already.
		d.w.Proofs = append(d.w.Proofs[:len(d.w.Proofs):len(d.w.Proofs)], Proof{Passed: p, About: Subject{d.Run.Artifact, d.Run.Config}})
	}
	d.event("gate.passed", s.Environment, fmt.Sprintf("%s has passed %s of %s: %s", d.Run.Release, def.Name, s.Environment, why))
	return true
}

func passed(r course.Run, environment string, def semper.Gate, g course.Gate) Passed {
	return Passed{
		At: g.EndedAt, App: r.App, Environment: environment, Gate: def.Name, Kind: def.Kind, Definition: def.Definition(),
		Release: r.Release, Run: r.ID, Attempt: g.Attempt, By: g.By, Why: g.Why, Expires: g.Expires, Instance: g.Unit,
	}
}

func (d *step) fail(s *course.Stage, g *course.Gate, why string) bool {
	g.State, g.EndedAt, g.Why = course.GateFailed, d.w.Now, why
	d.event("gate.failed", s.Environment, fmt.Sprintf("%s has failed %s of %s: %s", d.Run.Release, g.Gate, s.Environment, why))
	return true
}

// endUnits ends the commands of this run that nothing waits for any more.
func (d *step) endUnits() {
	for i, s := range d.Run.Stages {
		for _, g := range s.Gates {
			if g.Unit == "" {
				continue
			}
			u, known := d.w.Units[g.Unit]
			if !known || u.Ended || g.State == course.GateRunning && d.Run.State == course.Running && i == d.Run.At {
				continue
			}
			d.Commands = append(d.Commands, Stop{g.Unit, "its gate is decided"})
		}
	}
}

func among(list []string) string {
	s := ""
	for i, name := range list {
		switch {
		case i == 0:
		case i == len(list)-1:
			s += " or "
		default:
			s += ", "
		}
		s += name
	}
	return s
}
