package task_test

import (
	"time"

	"semper"
	"semper/task"
)

// people ask for this and that.
func (s *sim) people() {
	c := s.control[s.leads]
	if c == nil {
		return
	}
	w := s.world(c)
	var d task.Decision
	var err error
	switch s.r.IntN(5) {
	case 0, 1:
		q := task.Request{App: "shop", Environment: "production", Service: []string{"once", "skips", "queues", "replaces", "web"}[s.r.IntN(5)], By: "ann"}
		if q.Service == "web" {
			q.Command = []string{"./manage"}
		}
		_, d, err = task.Begin(c.book, w, q)
	case 2:
		for id := range c.book.Tasks {
			_, d, err = task.End(c.book, w, id, "ann", "enough")
			break
		}
	case 3:
		_, d, err = task.Pause(c.book, w, simEnv, []string{"skips", "queues", "replaces"}[s.r.IntN(3)], "ann", "")
	case 4:
		_, d, err = task.Resume(c.book, w, simEnv, []string{"skips", "queues", "replaces"}[s.r.IntN(3)], "ann")
	}
	if err == nil && d.Changed() {
		s.commit(s.leads, c, d)
	}
}

// settle lets everything come to its end: no cron, nobody who asks, nobody who dies.
func (s *sim) settle() {
	s.busy, s.plans = false, map[string]task.Plan{"web": {Type: semper.Web}, "once": {Type: semper.Task}, "skips": {Type: semper.Worker}}
	s.takeOver(0)
	for range 200 {
		s.now = s.now.Add(time.Minute)
		s.deliver()
		s.keeper()
		c := s.control[s.leads]
		d := task.Step(c.book, s.world(c))
		if d.Changed() {
			s.commit(s.leads, c, d)
		}
		for _, cmd := range d.Commands {
			s.pending = append(s.pending, simCommand{cmd, s.now})
		}
	}
	for id, t := range s.store.book.Tasks {
		if !t.State.Ended() {
			s.fail("%s is %s for ever: %s", id, t.State, t.Why)
		}
	}
	for id, u := range s.units {
		if u.State != semper.Ended {
			s.fail("%s runs for ever", id)
		}
	}
	if n := len(s.store.book.Crons); n > 0 {
		s.fail("%d crons of services that are none", n)
	}
}
