package task

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"semper"
	"semper/task/schedule"
)

// A Book is what is stored. It is a value: nothing here changes its maps.
type Book struct {
	Tasks map[string]Task // by id
	Crons map[string]Cron // by key
}

// World is what is observed now, by a keeper that has said all it knows.
type World struct {
	Now time.Time
	// Next is the number of the next task.
	Next int64
	// Units of tasks that the keeper knows.
	Units map[semper.InstanceID]Unit
	// Refused are tasks, by id, that the keeper has said it will not start, with why.
	Refused map[string]string
	Places  map[semper.EnvironmentKey]Place
}

// A Unit is what runs for a task.
type Unit struct {
	State semper.InstanceState
	End   *semper.End
}

// A Place is an environment as tasks see it.
type Place struct {
	App, Environment string
	Release          semper.ReleaseName // that serves; empty for none
	Services         map[string]Plan    // of that release
	Busy             string             // why nothing may start there now, in words
}

// A Plan is how a service is run as a task.
type Plan struct {
	Type semper.ServiceType
	Settings
	Schedule schedule.Schedule // of a cron
}

// Command is something to be done. All of them may be given and performed more than once.
type Command interface{ isCommand() }

// Start asks for a task's unit to run.
type Start struct{ Task Task }

// StopUnit asks for a unit to end.
type StopUnit struct {
	ID  semper.InstanceID
	Why string
}

func (Start) isCommand()    {}
func (StopUnit) isCommand() {}

// A Decision is what Step wants: what to store, in one transaction, and what to do once it is stored.
type Decision struct {
	Tasks     []Task   // that are new or changed
	Drop      []string // ids whose records are given up
	Crons     []Cron
	DropCrons []string
	Events    []semper.Event
	Commands  []Command
	// Wake is when to look again though nothing else happened; zero for never.
	Wake time.Time
}

// Changed reports whether there is anything to store.
func (d Decision) Changed() bool {
	return len(d.Tasks)+len(d.Drop)+len(d.Crons)+len(d.DropCrons)+len(d.Events) > 0
}

// keepEnded is of how many ended tasks of a service in an environment there is a record, and keepOutputs of how many there is all they printed.
const (
	keepEnded   = 50
	keepOutputs = 10
)

// Step moves all tasks on as far as w allows, and begins what crons are due for. The result is a function of its arguments alone.
func Step(b Book, w World) Decision {
	d := newStep(b, w)
	for _, t := range d.open() {
		d.follow(t)
	}
	for _, key := range slices.Sorted(maps.Keys(w.Places)) {
		at := w.Places[key]
		for _, name := range slices.Sorted(maps.Keys(at.Services)) {
			if p := at.Services[name]; p.Type == semper.Cron {
				d.cron(at, name, p)
			}
		}
	}
	for _, t := range d.open() {
		if t.State == Queued {
			d.start(t)
		}
	}
	d.forget()
	d.command()
	return d.decision()
}

// step is a decision in the making. Book has what it came to so far.
type step struct {
	Book
	w                  World
	next               int64
	tasks, crons       map[string]bool // changed
	dropped, unplanned []string
	events             []semper.Event
	commands           []Command
	wakeAt             time.Time
}

func newStep(b Book, w World) *step {
	d := &step{Book: Book{Tasks: maps.Clone(b.Tasks), Crons: maps.Clone(b.Crons)}, w: w, next: w.Next, tasks: map[string]bool{}, crons: map[string]bool{}}
	if d.Tasks == nil {
		d.Tasks = map[string]Task{}
	}
	if d.Crons == nil {
		d.Crons = map[string]Cron{}
	}
	return d
}

func (d *step) decision() Decision {
	out := Decision{Drop: d.dropped, DropCrons: d.unplanned, Events: d.events, Commands: d.commands, Wake: d.wakeAt}
	for id := range d.tasks {
		if t, ok := d.Tasks[id]; ok {
			out.Tasks = append(out.Tasks, t)
		}
	}
	slices.SortFunc(out.Tasks, byNumber)
	for _, key := range slices.Sorted(maps.Keys(d.crons)) {
		if c, ok := d.Crons[key]; ok {
			out.Crons = append(out.Crons, c)
		}
	}
	return out
}

func byNumber(a, b Task) int { return cmp.Compare(a.Number(), b.Number()) }

// open are the tasks that have not ended, the oldest first.
func (d *step) open() []Task {
	var out []Task
	for _, t := range d.Tasks {
		if !t.State.Ended() {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, byNumber)
	return out
}

func (d *step) set(t Task)     { d.Tasks[t.ID], d.tasks[t.ID] = t, true }
func (d *step) setCron(c Cron) { d.Crons[c.Key()], d.crons[c.Key()] = c, true }

// add is a new task, which is not started yet.
func (d *step) add(t Task) Task {
	t.ID, t.State, t.AskedAt = fmt.Sprintf("%s%d", prefix, d.next), Queued, d.w.Now
	d.next++
	d.set(t)
	return t
}

func (d *step) tell(e semper.Event) {
	e.At = d.w.Now
	d.events = append(d.events, e)
}

func (d *step) wake(t time.Time) {
	if !t.IsZero() && (d.wakeAt.IsZero() || t.Before(d.wakeAt)) {
		d.wakeAt = t
	}
}

// overrun is how long after its deadline a keeper has to end a task by itself.
const overrun = 15 * time.Second

// inFlight is how long the word to start a unit may be on its way, when the word to end its task has come: the next run of a cron does not
// start beside it.
const inFlight = 5 * time.Second

// follow looks at what became of t's unit.
func (d *step) follow(t Task) {
	if t.State == Queued {
		if t.Stop != nil {
			d.end(t, Stopped, "before it began"+reason(t.Stop))
		}
		return
	}
	u, known := d.w.Units[t.Unit]
	refused, isRefused := d.w.Refused[t.ID]
	switch {
	case !known && t.State == Running:
		d.end(t, Failed, "its keeper does not know it any more: whether it ended well cannot be told")
	case !known && isRefused:
		d.end(t, Failed, "it could not be started: "+refused)
	case !known && t.Stop != nil && d.w.Now.Sub(t.Stop.At).Abs() < inFlight:
		d.wake(t.Stop.At.Add(inFlight))
	case !known && t.Stop != nil:
		d.end(t, Stopped, "before it began"+reason(t.Stop))
	case !known && !d.w.Now.Before(t.Until):
		d.end(t, Failed, fmt.Sprintf("it was not begun within its deadline of %s", t.Deadline))
	case !known:
		d.wake(t.Until)
	case u.State == semper.Ended:
		d.conclude(t, u)
	case t.State == Starting:
		t.State = Running
		d.set(t)
		d.wake(t.Until.Add(overrun))
	default:
		d.wake(t.Until.Add(overrun))
	}
}

// reason is why a stop was asked for, as the end of a sentence.
func reason(s *Stop) string {
	if s.Why != "" {
		return ": " + s.Why
	}
	return ""
}

// conclude goes by how t's unit ended.
func (d *step) conclude(t Task, u Unit) {
	t.End = u.End
	switch {
	case u.End == nil:
		d.end(t, Failed, "it ended unseen")
	case u.End.Reason.Kind == semper.ReasonNormal:
		d.end(t, Done, "")
	case u.End.Reason.Kind == semper.ReasonDeadline:
		d.end(t, Failed, fmt.Sprintf("it did not end within %s", t.Deadline))
	case t.Stop != nil && u.End.Reason.Kind == semper.ReasonKilled:
		d.end(t, Stopped, cmp.Or(t.Stop.Why, "stopped by "+orSomebody(t.Stop.By))+"; it did not end when it was told to, and was killed")
	case t.Stop != nil && u.End.Reason.Kind != semper.ReasonUnknown:
		d.end(t, Stopped, cmp.Or(t.Stop.Why, "stopped by "+orSomebody(t.Stop.By)))
	case u.End.Reason.Kind == semper.ReasonShutdown, u.End.Reason.Kind == semper.ReasonKilled:
		d.end(t, Stopped, "semper was stopped")
	default:
		d.end(t, Failed, u.End.Reason.String())
	}
}

// end writes t's end down, and tells it: of crons only what is no success, which would be all there is to read.
func (d *step) end(t Task, s State, why string) {
	t.State, t.Why, t.EndedAt = s, why, d.w.Now
	d.set(t)
	if s == Done && !t.Due.IsZero() {
		return
	}
	message := fmt.Sprintf("%s (%s) %s", t.ID, t.Service, s.Verb())
	if t.End != nil {
		message += " after " + t.Took().Round(time.Millisecond).String()
	}
	if why != "" {
		message += ": " + why
	}
	d.tell(semper.Event{Kind: "task." + string(s), App: t.App, Environment: t.Environment, Release: t.Release, Instance: t.Unit, By: t.By, Message: message})
}

// start begins a queued task in the release that serves, unless something is in its way.
func (d *step) start(t Task) {
	at, ok := d.w.Places[t.Key()]
	p, has := at.Services[t.Service]
	switch {
	case !ok || at.Release == "":
		d.end(t, Failed, "nothing is deployed there")
		return
	case !has:
		d.end(t, Failed, fmt.Sprintf("%s has no service %s", at.Release, t.Service))
		return
	case at.Busy != "":
		d.waits(t, at.Busy)
		return
	}
	if p.Type == semper.Cron && len(t.Command) == 0 {
		for _, other := range d.open() {
			if other.ID != t.ID && other.Active() && other.of(at, t.Service) {
				d.waits(t, other.ID+" to end")
				return
			}
		}
	}
	t.State, t.Why, t.Release = Starting, "", at.Release
	t.Unit = t.unitOf(at.Release)
	t.StartedAt, t.Until = d.w.Now, d.w.Now.Add(t.Deadline.D())
	d.set(t)
	d.wake(t.Until)
}

// waits notes what t waits for.
func (d *step) waits(t Task, why string) {
	if t.Why != why {
		t.Why = why
		d.set(t)
	}
}

// ended are the ended tasks of each service of each environment, the newest first.
func (b Book) ended() map[string][]Task {
	out := map[string][]Task{}
	for _, t := range b.Tasks {
		if t.State.Ended() {
			key := string(t.Key()) + "/" + t.Service
			out[key] = append(out[key], t)
		}
	}
	for _, l := range out {
		slices.SortFunc(l, func(x, y Task) int { return byNumber(y, x) })
	}
	return out
}

// forget gives up what is too old to be asked for, and what no release plans any more.
func (d *step) forget() {
	for _, l := range d.ended() {
		for _, t := range l[min(keepEnded, len(l)):] {
			delete(d.Tasks, t.ID)
			d.dropped = append(d.dropped, t.ID)
		}
	}
	slices.Sort(d.dropped)
	for _, key := range slices.Sorted(maps.Keys(d.Crons)) {
		c := d.Crons[key]
		at := d.w.Places[semper.Environment{App: c.App, Name: c.Environment}.Key()]
		if at.Services[c.Service].Type != semper.Cron {
			delete(d.Crons, key)
			d.unplanned = append(d.unplanned, key)
		}
	}
}

// command has done what follows: all that should run is asked for, and all that should not is ended.
func (d *step) command() {
	for _, t := range d.open() {
		u, known := d.w.Units[t.Unit]
		gone := u.State == semper.Stopping || u.State == semper.Ended
		switch {
		case t.State == Queued || known && gone:
		case !known && t.State == Starting && t.Stop == nil:
			d.commands = append(d.commands, Start{t})
		case known && t.Stop != nil:
			d.commands = append(d.commands, StopUnit{t.Unit, cmp.Or(t.Stop.Why, "stopped by "+orSomebody(t.Stop.By))})
		case known && d.w.Now.After(t.Until.Add(overrun)): // its keeper does so itself, by its own clock
			d.commands = append(d.commands, StopUnit{t.Unit, "its deadline is over"})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.w.Units)) {
		u := d.w.Units[id]
		t, ok := d.Tasks[IDOf(id)]
		if (!ok || t.State.Ended()) && u.State != semper.Stopping && u.State != semper.Ended {
			d.commands = append(d.commands, StopUnit{id, "its task has ended"})
		}
	}
}

// Outputs are the units whose output is kept: of tasks that have not ended, and of each service the newest that have.
func (b Book) Outputs() map[semper.InstanceID]bool {
	out := map[semper.InstanceID]bool{}
	for _, t := range b.Tasks {
		if !t.State.Ended() {
			out[t.Unit] = true
		}
	}
	for _, l := range b.ended() {
		for _, t := range l[:min(keepOutputs, len(l))] {
			out[t.Unit] = true
		}
	}
	return out
}

// Needs reports whether a task that has not ended runs in that release, whose artifact is to stay for it.
func (b Book) Needs(app string, release semper.ReleaseName) bool {
	for _, t := range b.Tasks {
		if t.App == app && t.Release == release && t.Active() {
			return true
		}
	}
	return false
}

func orSomebody(by string) string { return cmp.Or(by, "somebody") }
