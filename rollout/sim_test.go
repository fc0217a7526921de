package rollout_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"semper"
	"semper/autoscale"
	"semper/rollout"
)

// TestSimulation runs the machine through thousands of random schedules: users give commands,
// instances become ready, crash and loop, edges lag and restart, the clock jumps, and the control process dies
// between any two of its actions. After each action the laws are checked.
// SEMPER_SIM_SCHEDULES raises the number (make simulate), and SEMPER_SIM_SEED runs one schedule alone.
func TestSimulation(t *testing.T) {
	t.Parallel()
	n, first := 1000, 0
	if s, err := strconv.Atoi(os.Getenv("SEMPER_SIM_SCHEDULES")); err == nil {
		n = s
	}
	if s, err := strconv.Atoi(os.Getenv("SEMPER_SIM_SEED")); err == nil {
		n, first = 1, s
	}
	if testing.Short() {
		n = 100
	}
	seen, trials, ended, migrations, resized, compared := make(map[semper.RolloutState]int), make(map[string]int), make(map[string]int), make(map[string]int), make(map[string]int), make(map[string]int)
	workers := make(map[string]int)
	for seed := first; seed < first+n; seed++ {
		s := newSim(t, uint64(seed))
		if s.patient = seed%3 > 0; s.patient { // users who have something, and let a trial take its time
			s.env, _, _ = rollout.Deploy(s.env, s.releases["r1"], rollout.Request{ID: "d-0", Now: s.now})
			s.settle()
		}
		for range 720 {
			s.act()
		}
		s.settle()
		for k, v := range s.seen {
			seen[k] += v
		}
		add(trials, s.trials)
		add(ended, s.ended)
		add(migrations, s.migrations)
		add(resized, s.resized)
		add(workers, s.workers)
		add(compared, s.compared)
	}
	for _, st := range []semper.RolloutState{semper.RolloutDone, semper.RolloutFailed, semper.RolloutRolledBack, semper.RolloutSuperseded} {
		if seen[st] < n/50 {
			t.Errorf("only %d rollouts ended as %s in %d schedules: the simulation does not reach it", seen[st], st, n)
		}
	}
	for _, what := range simTrials {
		if trials[what] < n/200 {
			t.Errorf("only %d trials %s in %d schedules: the simulation does not reach it", trials[what], what, n)
		}
	}
	for _, what := range simWorkers {
		if workers[what] < n/200 {
			t.Errorf("only %d times a worker %s in %d schedules: the simulation does not reach it", workers[what], what, n)
		}
	}
	for _, what := range simPins {
		if ended[what] < n/1000 {
			t.Errorf("only %d windows %s in %d schedules: the simulation does not reach it", ended[what], what, n)
		}
	}
	for _, what := range simMigrations {
		if migrations[what] < n/200 {
			t.Errorf("only %d migrations %s in %d schedules: the simulation does not reach it", migrations[what], what, n)
		}
	}
	for _, what := range simResizings {
		if resized[what] < n/200 {
			t.Errorf("only %d times %s by the load in %d schedules: the simulation does not reach it", resized[what], what, n)
		}
	}
	for _, what := range simCompared {
		if compared[what] < n/400 {
			t.Errorf("only %d experiments of releases %s in %d schedules: the simulation does not reach it", compared[what], what, n)
		}
	}
	t.Log(seen, trials, ended, migrations, resized, compared)
}

type simInstance struct {
	rollout.Instance
	stopped bool // semper asked it to end
	told    bool // it takes no more jobs of its own broker
	jobs    int  // that it has left of those
	broken  bool // its release always crashes, or it is a command that hangs
	until   time.Time
}

type simEdge struct {
	table semper.Table
	dead  bool // it serves nobody and tells nothing until it has begun again, by the newest table
}

type sim struct {
	t    *testing.T
	seed uint64
	r    *rand.Rand
	now  time.Time

	// durable
	env      semper.Environment
	table    semper.Table
	releases map[semper.ReleaseName]semper.Release
	rollouts int

	instances map[semper.InstanceID]*simInstance
	staged    map[semper.Digest]error
	edges     []*simEdge
	workers   map[string]int // what became of them, by a word for it
	desk      simEdge        // the queue process, which hands out jobs by a table
	inFlight  map[semper.InstanceID]int
	deadline  map[semper.InstanceID]time.Time            // of what drains
	pending   []rollout.Command                          // of a control that may die before it does them
	decided   time.Time                                  // when it decided on them; the clock may be set back since
	known     map[semper.InstanceID]semper.InstanceState // what it knew of instances then
	seen      map[semper.RolloutState]int
	trials    map[string]int // what became of them, by a word for it
	ended     map[string]int // windows of clients that stick, by how
	served    map[semper.InstanceID]bool
	log       []string

	patient bool
	verdict *semper.Verdict // the judge's newest
	began   int64           // the generation that was current when the rollout began; 0 for none

	writing    map[semper.InstanceID]int // of what is in flight, that with unsafe methods
	migrations map[string]int            // what became of them, by a word for it
	migrated   map[semper.InstanceID]int // how often a command began
	resized    map[string]int            // how often, by a word for how

	runs     int            // experiments of releases
	compared map[string]int // what became of them, by a word for it
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{
		t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 7)), now: time.Unix(1_700_000_000, 0),
		env:      semper.Environment{App: "app", Name: semper.DefaultEnvironment},
		releases: make(map[semper.ReleaseName]semper.Release), instances: make(map[semper.InstanceID]*simInstance),
		staged: make(map[semper.Digest]error), inFlight: make(map[semper.InstanceID]int), deadline: make(map[semper.InstanceID]time.Time), seen: make(map[semper.RolloutState]int),
		trials: make(map[string]int), ended: make(map[string]int), served: make(map[semper.InstanceID]bool),
		writing: make(map[semper.InstanceID]int), migrations: make(map[string]int), migrated: make(map[semper.InstanceID]int), resized: make(map[string]int), compared: make(map[string]int),
	}
	s.workers = make(map[string]int)
	for range 1 + s.r.IntN(2) {
		s.edges = append(s.edges, &simEdge{})
	}
	for n := 1; n <= 5; n++ {
		spec := semper.Spec{
			App:      "app",
			Services: map[string]semper.Service{"web": {Type: semper.Web, Instances: 1 + s.r.IntN(3)}, "job": s.worker()},
			Warm:     semper.Duration(time.Duration(s.r.IntN(4)) * time.Minute),
			Deploy:   s.steps(),
			Migrate:  s.migration(),
		}.WithDefaults()
		spec.Routes = []semper.RouteRule{{Path: "/", To: "web", StickFor: s.pinFor(spec.Warm)}}
		if s.r.IntN(3) > 0 {
			web := spec.Services["web"]
			web.Autoscale = autoscale.Policy{Min: s.r.IntN(2), Max: 2 + s.r.IntN(5)}.WithDefaults(true, false).Encode()
			spec.Services["web"] = web
		}
		if s.r.IntN(4) == 0 {
			spec.Services["api"] = semper.Service{Type: semper.Web, Instances: s.r.IntN(6)}
		}
		rel := semper.Release{App: "app", Number: n, Spec: spec, Artifact: semper.DigestOf([]byte{byte(n)}), Config: spec.ConfigDigest()}
		s.releases[rel.Name()] = rel
	}
	return s
}

func (s *sim) failf(format string, args ...any) {
	s.t.Helper()
	for _, l := range s.log[max(0, len(s.log)-60):] {
		s.t.Log(l)
	}
	s.t.Fatalf("seed %d: "+format, append([]any{s.seed}, args...)...)
}

func (s *sim) note(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

func (s *sim) act() {
	switch p := s.r.IntN(201); {
	case p < 54:
		s.control()
	case p < 88:
		s.perform()
	case p < 90:
		s.note("control dies with %d commands undone", len(s.pending))
		s.pending = nil
	case p < 136:
		s.progress()
	case p < 154:
		s.edge()
	case p < 168:
		s.judge()
	case p < 178:
		s.request()
	case p < 187:
		s.finish()
	case p < 195:
		s.now = s.now.Add(time.Duration(s.r.IntN(20)) * time.Second)
	case p < 196:
		if s.r.IntN(8) == 0 { // somebody sets the clock
			s.now = s.now.Add(time.Duration(s.r.IntN(7200)-3600) * time.Second)
			s.note("the clock is set to %s", s.now)
		}
	case p >= 200:
		s.resize()
	default:
		if !s.patient || s.idle() || s.r.IntN(3) == 0 {
			s.command()
		}
	}
	s.laws()
}

func (s *sim) world() rollout.World {
	w := rollout.World{
		Now: s.now, Instances: s.judged(), Staged: s.staged, NextEpoch: s.table.Epoch + 1, Releases: s.releases,
		InFlight: make(map[semper.InstanceID]semper.InFlight), Verdict: s.verdict,
	}
	for i, e := range s.alive() {
		if i == 0 || e.table.Epoch < w.Acked {
			w.Acked = e.table.Epoch
		}
	}
	s.deskKnows(&w)
	for id, n := range s.inFlight {
		w.InFlight[id] = semper.InFlight{semper.ClassRequest: n - s.writing[id], semper.ClassWrite: s.writing[id]}
		if name(id) == "job" {
			w.InFlight[id] = semper.InFlight{semper.ClassJob: n}
		}
	}
	return w
}

func (s *sim) judged() map[semper.InstanceID]rollout.Instance {
	out := make(map[semper.InstanceID]rollout.Instance)
	for id, in := range s.instances {
		out[id] = in.Instance
	}
	return out
}

// control decides and commits; what it wants done is pending until perform.
func (s *sim) control() {
	before := s.env
	d := rollout.Step(s.env, s.world())
	if !d.Changed && !reflect.DeepEqual(d.Env, before) {
		s.failf("Step changed the environment and did not say so")
	}
	s.earned(before, d.Env)
	s.commit(d)
	s.persevered()
	s.overdue()
}

func (s *sim) commit(d rollout.Decision) {
	old := s.env
	s.env = d.Env
	t := rollout.Routes([]rollout.Site{{Env: s.env, Releases: s.releases}}, s.judged())
	moved := rollout.Moves(s.env, s.table.Epoch+1)
	if moved || !rollout.SameRoutes(t, s.table) {
		t.Epoch = s.table.Epoch + 1
		s.table = t
		s.published()
	}
	s.pins(old)
	s.compareTold(old)
	s.pending, s.decided, s.known = append(s.pending[:0:0], d.Commands...), s.now, make(map[semper.InstanceID]semper.InstanceState)
	for id, in := range s.instances {
		s.known[id] = in.State
	}
	for _, e := range d.Events {
		s.note("%s", e.Message)
	}
	r, was := s.env.Rollout, old.Rollout
	if r == nil || was == nil || r.ID != was.ID || r.State == was.State {
		return
	}
	s.seen[r.State]++
	s.tell(r)
	if r.State == semper.RolloutFailed && !sameCurrent(s.env, old) {
		s.failf("a failed rollout moved the environment")
	}
}

// published checks law L3 on a new table and notes when what it drains may be cut.
func (s *sim) published() {
	for _, p := range given(s.table) {
		for _, b := range p.Backend {
			if in := s.instances[b.ID]; in == nil || in.State != semper.Ready {
				s.failf("L3: epoch %d routes to %s, which is not ready", s.table.Epoch, b.ID)
			}
			delete(s.deadline, b.ID)
			s.served[b.ID] = true
		}
	}
	for _, d := range s.table.Draining {
		for _, id := range d.Instances {
			s.deadline[id] = d.Request
		}
	}
}

func sameCurrent(a, b semper.Environment) bool {
	if a.Current == nil || b.Current == nil {
		return a.Current == b.Current
	}
	return a.Current.Generation == b.Current.Generation
}

func (s *sim) perform() {
	for len(s.pending) > 0 {
		c := s.pending[0]
		s.pending = s.pending[1:]
		s.do(c)
		if s.r.IntN(3) == 0 {
			return
		}
	}
}

func (s *sim) do(c rollout.Command) {
	switch c := c.(type) {
	case rollout.Stage:
		if s.r.IntN(20) == 0 {
			s.staged[c.Artifact] = &semper.Error{Code: semper.NoSpace, Message: "disk full"}
		} else {
			s.staged[c.Artifact] = nil
		}
	case rollout.Start:
		if s.instances[c.Spec.ID] == nil {
			s.note("start %s", c.Spec.ID)
			s.begins(c.Spec)
			s.instances[c.Spec.ID] = &simInstance{Instance: rollout.Instance{State: semper.Starting, Address: "a"}, broken: c.Spec.Release.Number() == 5 || isTask(c.Spec.ID) && s.r.IntN(5) == 0, until: c.Spec.Until}
		}
	case rollout.Quiesce:
		s.quiesce(c)
	case rollout.Stop:
		in := s.instances[c.ID]
		if in == nil || in.stopped {
			return
		}
		s.note("stop %s: %s", c.ID, c.Why)
		s.mayStop(c.ID)
		in.stopped, in.State = true, semper.Stopping
		if isTask(c.ID) {
			s.migrations["stopped"]++
		}
	}
}

// mayStop is L4 seen from outside: nobody routes to it, and what it holds is past its deadline.
func (s *sim) mayStop(id semper.InstanceID) {
	for i, e := range s.alive() {
		for _, p := range e.table.Pools {
			for _, b := range p.Backend {
				if b.ID == id {
					s.failf("%s is stopped while edge %d (epoch %d) routes to it", id, i, e.table.Epoch)
				}
			}
		}
	}
	s.mayStopWorker(id)
	if end, ok := s.deadline[id]; s.inFlight[id] > 0 && (!ok || s.decided.Before(end)) {
		s.failf("%s is stopped with %d in flight before its deadline (published: %t)", id, s.inFlight[id], ok)
	}
}

// pick is a random instance, in an order that depends on nothing but the seed.
func (s *sim) pick() (semper.InstanceID, *simInstance) {
	ids := make([]semper.InstanceID, 0, len(s.instances))
	for id := range s.instances {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return "", nil
	}
	slices.Sort(ids)
	id := ids[s.r.IntN(len(ids))]
	return id, s.instances[id]
}

func (s *sim) progress() {
	id, in := s.pick()
	if in == nil {
		return
	}
	switch {
	case isTask(id):
		s.task(id, in)
	case in.told && !in.stopped && !in.Drained:
		s.finishOwn(id, in)
	case in.stopped:
		delete(s.instances, id)
		s.lose(id)
	case in.State == semper.Waiting:
		in.State = semper.Starting
		in.Restarts++
	case in.State == semper.Starting && in.broken && in.Restarts == 0 && s.r.IntN(4) > 0:
		in.State = semper.Ready // looks well at first
	case s.r.IntN(40) == 0 || in.broken:
		in.State = semper.Waiting
		in.LastEnd = &semper.End{At: s.now, Reason: semper.Reason{Kind: semper.ReasonExit, Code: 1}, GaveUp: in.Restarts >= 2, Window: in.Restarts + 1, Tail: []string{"boom"}}
		s.lose(id)
	case in.State == semper.Starting:
		in.State = semper.Ready
	}
}

// edge follows the store; or ends, with what it carries, and begins again from the newest table. So does the queue process.
func (s *sim) edge() {
	if s.r.IntN(3) > 0 {
		s.follow()
	}
	e := s.edges[s.r.IntN(len(s.edges))]
	switch {
	case e.dead || s.table.Epoch > e.table.Epoch:
		e.table, e.dead = s.table, false
	case s.r.IntN(12) == 0:
		e.dead = true
	}
}

func (s *sim) alive() []*simEdge {
	return slices.DeleteFunc(slices.Clone(s.edges), func(e *simEdge) bool { return e.dead })
}

// request arrives at an edge: the instance its table names must be one semper has not ended.
func (s *sim) request() {
	s.claim()
	e := s.edges[s.r.IntN(len(s.edges))]
	if e.dead {
		return
	}
	for _, p := range e.table.Pools {
		if len(p.Backend) == 0 {
			continue
		}
		b := p.Backend[s.r.IntN(len(p.Backend))]
		in := s.instances[b.ID]
		if in == nil || in.stopped {
			s.failf("an edge at epoch %d routes to %s, which semper ended", e.table.Epoch, b.ID)
		}
		unsafe := s.r.IntN(2) == 0
		if holds(p.Hold, unsafe) {
			continue // it waits
		}
		s.unmet(e, unsafe)
		if in.State != semper.Ready {
			continue
		}
		if s.inFlight[b.ID]++; unsafe {
			s.writing[b.ID]++
		}
	}
}

func (s *sim) finish() {
	id, _ := s.pick()
	if s.inFlight[id] <= 1 {
		s.lose(id)
		return
	}
	if n := s.inFlight[id]; s.r.IntN(n) < s.writing[id] {
		s.writing[id]--
	}
	s.inFlight[id]--
}
