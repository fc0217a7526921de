package task_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/task"
	"semper/task/schedule"
)

var seeds = flag.Int("seeds", 80, "how many schedules the simulation tries")

// TestTwoControls has two control processes decide about the same crons and tasks, over a store that takes the word of the one that leads. Each
// dies between any two steps: after a decision, after its transaction, between two of its commands. So does the keeper, clocks jump, people ask for
// tasks and stop them, and releases come and go. Nothing is started twice, no due time runs twice, no run is beside another of its cron.
func TestTwoControls(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for seed := range *seeds {
		s := newSim(t, uint64(seed))
		for range 400 {
			s.step()
		}
		s.settle()
		for k, n := range s.seen {
			seen[k] += n
		}
	}
	t.Log(seen)
	for _, what := range []string{"killed before commit", "killed after commit", "killed between commands", "conflict", "late command", "keeper killed", "task.done", "task.failed", "task.stopped", "cron.skipped", "cron.missed", "cron.paused", "cron.resumed", "cron.clock", "busy", "a run by a schedule", "an asked run"} {
		if seen[what] == 0 {
			t.Errorf("it never came to this: %s", what)
		}
	}
}

// simStore is what is committed, under the term of the one that leads.
type simStore struct {
	book task.Book
	term int
	next int64
	rev  int // grows with each commit
}

// simControl is a process that knows the store as it was.
type simControl struct {
	book      task.Book
	term, rev int
	next      int64
	refused   map[string]string
}

type simUnit struct {
	task.Unit
	started int
	cron    string // whose run it is; "" of what somebody asked for
	until   time.Time
	endedAt time.Time
	asked   bool // to end
}

type simCommand struct {
	cmd   task.Command
	after time.Time
}

type sim struct {
	t       *testing.T
	r       *rand.Rand
	now     time.Time
	store   simStore
	control [2]*simControl // nil: dead
	leads   int
	units   map[semper.InstanceID]*simUnit
	pending []simCommand
	release int
	plans   map[string]task.Plan
	busy    bool
	dues    map[string]string // due times that got a task, by cron and time: its id
	since   map[string]int    // how often a cron began to count anew: under another schedule, as a new service, by another clock
	told    map[string]int    // ends told, by task
	log     []string
	seen    map[string]int
}

const simEnv = semper.EnvironmentKey("shop/production")

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{
		t: t, r: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC), units: map[semper.InstanceID]*simUnit{},
		dues: map[string]string{}, since: map[string]int{}, told: map[string]int{}, seen: map[string]int{}, plans: map[string]task.Plan{},
	}
	s.store.book, s.store.next = task.Book{Tasks: map[string]task.Task{}, Crons: map[string]task.Cron{}}, 1
	s.deploy()
	s.takeOver(0)
	return s
}

func (s *sim) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(s.log[max(0, len(s.log)-60):], "\n"))
}

func (s *sim) note(format string, args ...any) {
	s.log = append(s.log, s.now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

// deploy makes another release, with or without the crons.
func (s *sim) deploy() {
	s.release++
	s.plans = map[string]task.Plan{"web": {Type: semper.Web}, "once": {Type: semper.Task}}
	for i, name := range []string{"skips", "queues", "replaces"} {
		if s.r.IntN(8) == 0 && s.release > 1 {
			continue
		}
		p := task.Plan{Type: semper.Cron, Settings: task.Settings{
			Schedule: []string{"*/2 * * * *", "@every 45s", "0,30 * * * *"}[s.r.IntN(3)], Zone: "Europe/Berlin",
			Overlap: []task.Overlap{task.Skip, task.Queue, task.Replace}[i], Deadline: semper.Duration(5 * time.Minute),
		}}
		if s.r.IntN(2) == 0 {
			p.StartingDeadline, p.Jitter = semper.Duration(90*time.Second), semper.Duration(40*time.Second)
		}
		p.Schedule, _ = schedule.Parse(p.Settings.Schedule, p.Zone)
		s.plans[name] = p
	}
}

func (s *sim) world(c *simControl) task.World {
	w := task.World{Now: s.now, Next: c.next, Units: map[semper.InstanceID]task.Unit{}, Refused: c.refused}
	for id, u := range s.units {
		w.Units[id] = u.Unit
	}
	at := task.Place{App: "shop", Environment: "production", Release: semper.ReleaseName(fmt.Sprintf("r%d", s.release)), Services: s.plans}
	if s.busy {
		at.Busy = "a migration"
	}
	w.Places = map[semper.EnvironmentKey]task.Place{simEnv: at}
	return w
}

func (s *sim) takeOver(i int) {
	s.store.term++
	s.leads = i
	s.control[i] = &simControl{book: s.store.book, term: s.store.term, rev: s.store.rev, next: s.store.next, refused: map[string]string{}}
	s.note("control %d leads", i)
}

func (s *sim) step() {
	s.now = s.now.Add(time.Duration(s.r.IntN(20_000)) * time.Millisecond)
	s.deliver()
	s.keeper()
	i := s.r.IntN(2)
	if c := s.control[i]; c != nil {
		s.decide(i, c)
	}
	switch s.r.IntN(40) {
	case 0: // the other leads, and this one does not know yet
		s.takeOver(1 - s.leads)
	case 1:
		s.control[s.r.IntN(2)] = nil
	case 2:
		s.deploy()
	case 3, 4:
		if s.busy = !s.busy; s.busy {
			s.seen["busy"]++
		}
	case 5:
		s.now = s.now.Add([]time.Duration{time.Hour, -10 * time.Minute, -30 * time.Hour, 26 * time.Hour}[s.r.IntN(4)])
	case 6, 7, 8:
		s.people()
	case 9:
		s.seen["keeper killed"]++
		for _, u := range s.units {
			if u.State == semper.Starting && s.r.IntN(2) == 0 {
				s.exit(u, semper.ReasonUnknown)
			}
		}
	}
	if s.control[s.leads] == nil {
		s.takeOver(s.leads)
	}
}

// decide is one decision of a control process, which may be its last.
func (s *sim) decide(i int, c *simControl) {
	d := task.Step(c.book, s.world(c))
	if s.r.IntN(30) == 0 {
		s.seen["killed before commit"]++
		s.control[i] = nil
		return
	}
	if d.Changed() && !s.commit(i, c, d) {
		return
	}
	if s.r.IntN(30) == 0 {
		s.seen["killed after commit"]++
		s.control[i] = nil
		return
	}
	for n, cmd := range d.Commands {
		if n > 0 && s.r.IntN(30) == 0 {
			s.seen["killed between commands"]++
			s.control[i] = nil
			return
		}
		s.pending = append(s.pending, simCommand{cmd, s.now.Add(time.Duration(s.r.IntN(4)) * time.Second)})
	}
}

// commit is a transaction: of the one that leads, on top of all there is.
func (s *sim) commit(i int, c *simControl, d task.Decision) bool {
	if c.term != s.store.term || c.rev != s.store.rev {
		s.seen["conflict"]++
		s.control[i] = nil // it loses its leadership, and begins anew when it has it again
		return false
	}
	book := task.Book{Tasks: maps.Clone(s.store.book.Tasks), Crons: maps.Clone(s.store.book.Crons)}
	for _, cron := range d.Crons {
		if old, known := book.Crons[cron.Key()]; !known || old.Schedule != cron.Schedule || cron.From.Before(old.From) {
			s.since[cron.Service]++
		}
		book.Crons[cron.Key()] = cron
	}
	for _, key := range d.DropCrons {
		delete(book.Crons, key)
	}
	for _, t := range d.Tasks {
		old, known := book.Tasks[t.ID]
		if known && old.State.Ended() && (old.State != t.State || old.Why != t.Why) {
			s.fail("%s comes to a second end: %+v", t.ID, t)
		}
		if !known {
			s.newTask(t)
			s.store.next = max(s.store.next, t.Number()+1)
		}
		if s.busy && t.State == task.Starting && old.State != task.Starting {
			s.fail("%s starts while a migration has the data", t.ID)
		}
		book.Tasks[t.ID] = t
		s.note("control %d: %s of %s is %s %s", i, t.ID, t.Service, t.State, t.Why)
	}
	for _, id := range d.Drop {
		delete(book.Tasks, id)
	}
	for _, e := range d.Events {
		s.seen[e.Kind]++
		if id, _, _ := strings.Cut(e.Message, " "); strings.HasPrefix(e.Kind, "task.") && slices.Contains([]string{"task.done", "task.failed", "task.stopped"}, e.Kind) {
			if s.told[id]++; s.told[id] > 1 {
				s.fail("the end of %s is told twice", id)
			}
		}
	}
	s.store.book = book
	s.store.rev++
	c.book, c.rev, c.next = book, s.store.rev, s.store.next
	return true
}

func (s *sim) newTask(t task.Task) {
	if t.Due.IsZero() {
		s.seen["an asked run"]++
		return
	}
	s.seen["a run by a schedule"]++
	key := fmt.Sprintf("%s, %s, for the %d. time", t.Service, t.Due.UTC(), s.since[t.Service])
	if other := s.dues[key]; other != "" {
		s.fail("%s has two tasks: %s and %s", key, other, t.ID)
	}
	s.dues[key] = t.ID
}

// deliver has commands come to the keeper, those of dead processes too.
func (s *sim) deliver() {
	var left []simCommand
	for _, p := range s.pending {
		if s.now.Before(p.after) && s.r.IntN(3) > 0 {
			left = append(left, p)
			continue
		}
		switch cmd := p.cmd.(type) {
		case task.Start:
			s.start(cmd.Task)
		case task.StopUnit:
			if u := s.units[cmd.ID]; u != nil && u.State == semper.Starting {
				u.asked = true
			}
		}
	}
	s.pending = left
}

func (s *sim) start(t task.Task) {
	if s.units[t.Unit] != nil {
		s.seen["late command"]++
		return
	}
	u := &simUnit{Unit: task.Unit{State: semper.Starting}, started: 1, until: t.Until}
	if s.plans[t.Service].Type == semper.Cron && len(t.Command) == 0 {
		u.cron = t.Service
		for id, other := range s.units {
			if other.cron == u.cron && other.State != semper.Ended {
				s.fail("%s begins beside %s", t.Unit, id)
			}
		}
	}
	s.note("keeper: %s begins", t.Unit)
	s.units[t.Unit] = u
}

func (s *sim) exit(u *simUnit, kind semper.ReasonKind) {
	u.State, u.endedAt = semper.Ended, s.now
	u.End = &semper.End{Reason: semper.Reason{Kind: kind}, At: s.now}
}

// keeper is what becomes of units, and which are forgotten: none that a control process would still miss.
func (s *sim) keeper() {
	keep := s.store.book.Outputs()
	for _, id := range slices.Sorted(maps.Keys(s.units)) {
		u := s.units[id]
		switch p := s.r.IntN(10); {
		case u.State == semper.Ended:
			if !keep[id] && s.now.After(u.endedAt.Add(10*time.Minute)) && s.settled(id) {
				u.Unit = task.Unit{State: semper.Ended, End: u.End}
				delete(s.units, id)
			}
		case u.asked:
			s.exit(u, semper.ReasonShutdown)
		case s.now.After(u.until):
			s.exit(u, semper.ReasonDeadline)
		case p == 0:
			s.exit(u, semper.ReasonExit)
		case p < 3:
			s.exit(u, semper.ReasonNormal)
		}
	}
}

// settled reports whether the task of a unit has ended in the store, as for who forgets it.
func (s *sim) settled(id semper.InstanceID) bool {
	t, ok := s.store.book.Tasks[task.IDOf(id)]
	return !ok || t.State.Ended()
}
