package task

import (
	"fmt"
	"hash/fnv"
	"time"

	"semper"
)

// A Cron is how far a service with a schedule has come in one environment.
type Cron struct {
	App         string `json:"app"`
	Environment string `json:"environment"`
	Service     string `json:"service"`
	// Schedule and Zone are those that From goes by: under others no due time of the past is made up for.
	Schedule string `json:"schedule"`
	Zone     string `json:"timezone,omitempty"`
	// From is where the due times begin that are not settled yet.
	From   time.Time `json:"from"`
	Paused *Stop     `json:"paused,omitempty"`
}

// Key names the cron: "shop/production/report".
func (c Cron) Key() string { return c.App + "/" + c.Environment + "/" + c.Service }

// Next is when the cron's next run starts, as far as its schedule goes; zero for never, and while it is paused.
func (c Cron) Next(p Plan) time.Time {
	if c.Paused != nil {
		return time.Time{}
	}
	due := p.Schedule.Next(c.From)
	if due.IsZero() {
		return due
	}
	return due.Add(spread(c.Key(), p.Jitter.D()))
}

// spread is how late the starts of a cron are, below jitter: always the same, so that its due times stay in order.
func spread(key string, jitter time.Duration) time.Duration {
	if jitter <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))                      // it never fails
	return time.Duration(h.Sum64() % uint64(jitter)) //nolint:gosec // below jitter
}

// clockBack is how far From may lie ahead of now before it counts as the mark of a clock that was wrong, and has been put right. Below it
// nothing runs until the clock is there again: no due time comes twice.
const clockBack = 24 * time.Hour

// cron begins what a cron is due for.
func (d *step) cron(at Place, name string, p Plan) {
	c, known := d.Book.Crons[Cron{App: at.App, Environment: at.Environment, Service: name}.Key()]
	now := d.w.Now
	if !known || c.Schedule != p.Settings.Schedule || c.Zone != p.Zone {
		c = Cron{App: at.App, Environment: at.Environment, Service: name, Schedule: p.Settings.Schedule, Zone: p.Zone, From: now, Paused: c.Paused}
		d.setCron(c)
	}
	if c.From.After(now.Add(clockBack)) {
		d.tell(semper.Event{Kind: "cron.clock", App: c.App, Environment: c.Environment, Message: fmt.Sprintf("the clock went back from %s: %s goes by the new time", stamp(c.From, p), name)})
		c.From = now
		d.setCron(c)
	}
	if c.Paused != nil {
		return
	}
	late := spread(c.Key(), p.Jitter.D())
	due, others := p.Schedule.Last(c.From, now.Add(-late))
	if due.IsZero() {
		d.wake(c.Next(p))
		return
	}
	missed := p.StartingDeadline > 0 && now.Sub(due.Add(late)) > p.StartingDeadline.D()
	if at.Busy != "" && !missed {
		return // the due time stays, until what is busy has ended
	}
	from := c.From
	c.From = due
	d.setCron(c)
	d.wake(c.Next(p))
	switch event := (semper.Event{Kind: "cron.missed", App: c.App, Environment: c.Environment, Release: at.Release}); {
	case missed:
		event.Message = fmt.Sprintf("%s did not run at %s: it is %s later, and its starting_deadline is %s", name, stamp(due, p), now.Sub(due).Round(time.Second), p.StartingDeadline)
		d.tell(event)
		return
	case others:
		event.Message = fmt.Sprintf("%s was due several times after %s: one run makes up for all of them", name, stamp(from, p))
		d.tell(event)
	}
	d.due(at, name, p, due)
}

// stamp is an instant on p's wall clock.
func stamp(t time.Time, p Plan) string {
	return t.In(p.Schedule.Zone()).Format("2006-01-02 15:04:05 MST")
}

// due settles one due time: by a task, or by what is left of the one before.
func (d *step) due(at Place, name string, p Plan, due time.Time) {
	var queued, all []Task
	for _, t := range d.open() {
		if !t.of(at, name) {
			continue
		}
		if all = append(all, t); t.State == Queued {
			queued = append(queued, t)
		}
	}
	if len(all) > 0 {
		switch {
		case p.Overlap == Replace:
			d.replace(all, stamp(due, p))
		case p.Overlap != Queue || len(queued) >= mostQueued:
			t := all[0]
			if t.Skipped++; t.Skipped == 1 { // a run that hangs is told once, and not at each due time
				d.tell(semper.Event{
					Kind: "cron.skipped", App: t.App, Environment: t.Environment, Release: t.Release,
					Message: fmt.Sprintf("%s did not run at %s: %s has not ended", name, stamp(due, p), t.ID),
				})
			}
			d.set(t)
			return
		}
	}
	d.add(Task{App: at.App, Environment: at.Environment, Service: name, Due: due, Deadline: p.deadline(), By: "cron"})
}

// replace has what is left of runs before end.
func (d *step) replace(open []Task, by string) {
	for _, t := range open {
		why := "the run of " + by + " takes its place"
		if t.State == Queued {
			d.end(t, Stopped, why)
			continue
		}
		if t.Stop == nil {
			t.Stop = &Stop{By: "cron", Why: why, At: d.w.Now}
			d.set(t)
		}
	}
}

// of reports whether t is a run of a service's own command.
func (t Task) of(at Place, service string) bool {
	return t.App == at.App && t.Environment == at.Environment && t.Service == service && len(t.Command) == 0
}
