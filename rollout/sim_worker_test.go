package rollout_test

import (
	"encoding/json"
	"slices"
	"time"

	"semper"
	"semper/rollout"
	"semper/rollout/quiesce"
)

// simWorkers are what has to have become of workers in a simulation that is worth anything.
var simWorkers = []string{"took a job", "was left alone until it had none", "was stopped at its deadline", "finished its own", "was not asked for the queue process was away"}

// worker is a worker of a release, of any of the three kinds.
func (s *sim) worker() semper.Service {
	svc := semper.Service{Type: semper.Worker, Instances: s.r.IntN(3), Drain: semper.Duration(pick(s.r, 0, 0, time.Minute))}
	switch s.r.IntN(4) {
	case 0:
		b, err := json.Marshal(quiesce.Terms{Tell: quiesce.Way{Signal: "SIGTSTP"}, Busy: quiesce.Way{Exec: []string{"busy"}}})
		if err != nil {
			s.failf("%v", err)
		}
		svc.Quiesce = b
	case 1:
	default:
		svc.Jobs = json.RawMessage(`{}`)
	}
	return svc
}

// given are all pools of t whose instances get work by it.
func given(t semper.Table) []semper.Pool { return slices.Concat(t.Pools, t.Workers) }

// deskKnows is what the queue process adds to what edges have acknowledged, where it has a say.
func (s *sim) deskKnows(w *rollout.World) {
	switch {
	case !rollout.Pulls(s.env, s.releases):
	case s.desk.dead:
		s.workers["was not asked for the queue process was away"]++
		w.Acked = 0
	default:
		w.Acked = min(w.Acked, s.desk.table.Epoch)
	}
}

// follow has the queue process take the newest table, or end, or begin again. What it handed out stays with who has it.
func (s *sim) follow() {
	switch {
	case s.desk.dead || s.table.Epoch > s.desk.table.Epoch:
		s.desk = simEdge{table: s.table}
	case s.r.IntN(12) == 0:
		s.desk.dead = true
	}
}

// claim is an instance that asks for a job: the table of the queue process must not name one that semper has ended.
func (s *sim) claim() {
	if id, _ := s.pick(); name(id) == "job" {
		s.lose(id) // what it has in hand is done
	}
	if s.desk.dead || s.r.IntN(3) > 0 {
		return
	}
	for _, p := range s.desk.table.Workers {
		if len(p.Backend) == 0 || len(p.Hold) > 0 {
			continue
		}
		b := p.Backend[s.r.IntN(len(p.Backend))]
		in := s.instances[b.ID]
		if in == nil || in.stopped {
			s.failf("the queue process at epoch %d hands jobs to %s, which semper ended", s.desk.table.Epoch, b.ID)
		}
		if in.State == semper.Ready {
			s.unmet(&s.desk, true)
			s.inFlight[b.ID]++
			s.workers["took a job"]++
		}
	}
}

// quiesce tells a worker with a broker of its own. What it has by then it finishes.
func (s *sim) quiesce(c rollout.Quiesce) {
	in := s.instances[c.ID]
	if in == nil || in.told || in.stopped {
		return
	}
	s.note("quiesce %s", c.ID)
	if s.env.Current != nil && slices.ContainsFunc(s.env.Current.Instances, func(u semper.PlacedUnit) bool { return u.ID == c.ID }) {
		s.failf("%s is told to take no more jobs and is current", c.ID)
	}
	in.told, in.jobs = true, s.r.IntN(4)
}

func (s *sim) finishOwn(id semper.InstanceID, in *simInstance) {
	if in.jobs > 0 {
		in.jobs--
		return
	}
	s.note("%s has no job left", id)
	in.Drained = true
	s.workers["finished its own"]++
}

// mayStopWorker is L4 for workers: the queue process hands it nothing any more, and it has no job of its own broker, unless its time
// to drain is over. What never was connected, and what does not run, may be stopped at once.
func (s *sim) mayStopWorker(id semper.InstanceID) {
	if !s.desk.dead {
		for _, p := range s.desk.table.Workers {
			if slices.ContainsFunc(p.Backend, func(b semper.Backend) bool { return b.ID == id }) {
				s.failf("%s is stopped while the queue process (epoch %d) hands it jobs", id, s.desk.table.Epoch)
			}
		}
	}
	in := s.instances[id]
	svc := s.releases[releaseOf(id)].Spec.Services[service(semper.PoolKey("app/production/"+name(id)))]
	if svc.Type != semper.Worker {
		return
	}
	i := slices.IndexFunc(s.env.Retiring, func(p semper.Placement) bool {
		return slices.ContainsFunc(p.Instances, func(u semper.PlacedUnit) bool { return u.ID == id })
	})
	if i < 0 || s.env.Retiring[i].CutEpoch == 0 {
		return
	}
	cut := s.env.Retiring[i].CutAt
	late := svc.Drain > 0 && !s.decided.Before(cut.Add(svc.Drain.D()))
	known := s.known[id] // when it was decided: nobody can know what begins between a decision and what is done
	runs := known == semper.Ready || known == semper.NotReady || known == semper.Starting && s.decided.Before(cut.Add(svc.Health.Grace.D()))
	switch {
	case late && (s.inFlight[id] > 0 || svc.Quiesce != nil && !in.Drained):
		s.workers["was stopped at its deadline"]++
	case s.inFlight[id] > 0:
		s.failf("%s is stopped with %d jobs in hand, and may take %s", id, s.inFlight[id], svc.Drain)
	case svc.Quiesce != nil && runs && !in.Drained:
		s.failf("%s is stopped though it may have jobs of its own broker", id)
	default:
		s.workers["was left alone until it had none"]++
	}
}

// leave looks at what becomes of workers in a table and an environment: jobs are not cut short whose service says no time, and nobody
// keeps a worker warm that would go on taking jobs.
func (s *sim) leave() {
	for _, d := range s.table.Draining {
		for _, id := range d.Instances {
			svc := s.releases[d.Release].Spec.Services[name(id)]
			if svc.Jobs != nil && svc.Drain == 0 && d.Request.Before(s.now.AddDate(1, 0, 0)) {
				s.failf("jobs of %s are cut at %s", id, d.Request)
			}
		}
	}
	for _, u := range orZero(s.env.Previous).Instances {
		if svc := s.releases[s.env.Previous.Release].Spec.Services[u.Service]; svc.Type == semper.Worker && svc.Jobs == nil {
			s.failf("%s is warm and takes jobs of its own broker", u.ID)
		}
	}
}

// name is the service in an instance's id.
func name(id semper.InstanceID) string {
	text := string(id)
	if i := slices.Index([]byte(text), '/'); i >= 0 {
		text = text[i+1:]
	}
	if i := slices.Index([]byte(text), '.'); i >= 0 {
		text = text[:i]
	}
	return text
}
