package pipeline_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/pipeline"
	"semper/pipeline/course"
)

var schedules = flag.Int("pipeline.schedules", 300, "simulated schedules")

// sim is a world in which everything may happen between any two steps: a stored run is all that survives.
type sim struct {
	t        *testing.T
	r        *rand.Rand
	now      time.Time
	policy   semper.Pipeline
	runs     []course.Run // as stored
	envs     map[string]semper.Environment
	units    map[semper.InstanceID]pipeline.Unit
	asked    map[string]bool
	answers  map[string]pipeline.Answer
	proofs   map[string]pipeline.Proof // as stored, create-only
	stopped  string
	entered  map[string]int64 // the newest run that has entered an environment
	rollouts int
	log      []string
}

var ops = pipeline.Caller{Name: "olga", Role: "deployer", Groups: []string{"ops"}}

func policy(t *testing.T, queue bool) semper.Pipeline {
	t.Helper()
	concurrency := semper.Supersede
	if queue {
		concurrency = semper.Queue
	}
	p, problems := pipeline.Complete(semper.Pipeline{App: "shop", Stages: []semper.Stage{
		{Environment: "beta", Concurrency: concurrency, Gates: []semper.Gate{
			{Kind: semper.GateCommand, Command: []string{"./smoke"}, Timeout: semper.Duration(5 * time.Minute)},
			{Kind: semper.GateHTTP, URL: "http://127.0.0.1/ready", Timeout: semper.Duration(time.Minute)},
		}},
		{Environment: "production", Concurrency: concurrency, Gates: []semper.Gate{
			{Kind: semper.GateSoak, For: semper.Duration(30 * time.Minute)},
			{Kind: semper.GateApproval, Approvers: []string{"ops"}, Expires: semper.Duration(24 * time.Hour)},
			{Kind: semper.GateWindow, Window: &semper.Window{Deny: "Fri 16:00-Mon 08:00", Zone: "Europe/Berlin"}},
			{Kind: semper.GateCommand, Name: "check", Command: []string{"./check"}},
		}},
	}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return p
}

func newSim(t *testing.T, seed uint64) *sim {
	r := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a seeded simulation
	return &sim{
		t: t, r: r, now: time.Date(2026, 11, 16, 9, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(7*24)) * time.Hour), policy: policy(t, r.IntN(2) == 0),
		envs: map[string]semper.Environment{}, units: map[semper.InstanceID]pipeline.Unit{},
		asked: map[string]bool{}, answers: map[string]pipeline.Answer{}, proofs: map[string]pipeline.Proof{}, entered: map[string]int64{},
	}
}

func (s *sim) world(run course.Run) pipeline.World {
	w := pipeline.World{
		Now: s.now, Stopped: s.stopped, InForce: s.policy, Environments: maps.Clone(s.envs), Units: maps.Clone(s.units), Answers: maps.Clone(s.answers),
	}
	for _, o := range s.runs {
		if o.ID != run.ID {
			w.Others = append(w.Others, o)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.proofs)) {
		if p := s.proofs[name]; p.About == about(run) {
			w.Proofs = append(w.Proofs, p)
		}
	}
	return w
}

func about(r course.Run) pipeline.Subject {
	return pipeline.Subject{Artifact: r.Artifact, Config: r.Config}
}

// step does what a control process does for one run: decide, store, perform. It may die between any two of them.
func (s *sim) step(i int) (changed bool) {
	d := pipeline.Step(s.runs[i], s.world(s.runs[i]))
	if again := pipeline.Step(s.runs[i], s.world(s.runs[i])); !reflect.DeepEqual(again, d) {
		s.t.Fatalf("the same arguments gave another decision:\n%v\n%v", d, again)
	}
	if s.r.IntN(10) == 0 {
		return true // died before it stored anything
	}
	next, entered := d.Run, false
	if d.Deploy != "" && s.r.IntN(8) > 0 { // or the rollout was refused: another one is under way
		next, entered = s.deploy(d), true
	}
	if !d.Changed && !entered && len(d.Commands) == 0 {
		return false
	}
	s.store(i, next, d.Statements)
	if s.r.IntN(10) == 0 {
		return true // died before it did anything
	}
	for _, c := range d.Commands {
		s.perform(c)
	}
	return d.Changed || entered
}

func (s *sim) store(i int, next course.Run, statements []pipeline.Passed) {
	s.runs[i] = next
	for _, p := range statements {
		if _, twice := s.proofs[p.Name()]; twice {
			s.fatal("statement %s is written twice", p.Name())
		}
		s.proofs[p.Name()] = pipeline.Proof{Passed: p, About: about(next), Key: "k"}
	}
}

func (s *sim) perform(c pipeline.Command) {
	switch c := c.(type) {
	case pipeline.Start:
		if _, known := s.units[c.Spec.ID]; !known {
			s.started(c.Spec)
			s.units[c.Spec.ID] = pipeline.Unit{}
		}
	case pipeline.Stop:
		s.finish(c.ID, semper.Reason{Kind: semper.ReasonShutdown})
	case pipeline.Ask:
		s.asked[c.Key] = true
	}
}

// started: a command runs once per release, unless it failed, its gate was changed, or the machine forgot it.
func (s *sim) started(spec semper.InstanceSpec) {
	for _, p := range s.proofs {
		current := slices.Equal(spec.Spec.Command, s.policy.Stages[0].Gates[0].Command) && p.Definition == s.policy.Stages[0].Gates[0].Definition()
		if p.Gate == "tests" && strings.HasSuffix(spec.Service, ":tests") && p.About.Artifact == spec.Artifact && current && !p.At.After(s.now) && p.Run != "" && spec.ID != p.Instance {
			s.fatal("%s runs what %s has passed", spec.ID, p.Name())
		}
	}
}

func (s *sim) finish(id semper.InstanceID, r semper.Reason) {
	if u := s.units[id]; !u.Ended {
		s.units[id] = pipeline.Unit{Ended: true, End: &semper.End{Reason: r, At: s.now}}
	}
}

// deploy is the law: it looks at what is stored and in force with words of its own.
func (s *sim) deploy(d pipeline.Decision) course.Run {
	run, env := d.Run, d.Deploy
	for _, p := range d.Statements {
		s.proofs[p.Name()+"#"] = pipeline.Proof{Passed: p, About: about(run)} // of the same transaction
		defer delete(s.proofs, p.Name()+"#")
	}
	if s.stopped != "" {
		s.fatal("%s entered %s with the line stopped", run.ID, env)
	}
	if s.entered[env] > run.Number {
		s.fatal("%s entered %s behind p-%d", run.ID, env, s.entered[env])
	}
	stage := s.policy.Stages[slices.IndexFunc(s.policy.Stages, func(st semper.Stage) bool { return st.Environment == env })]
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		s.t.Fatal(err)
	}
	if at := s.now.In(berlin); env == "production" {
		h := int(at.Weekday()+6)%7*24 + at.Hour()
		if h >= 4*24+16 || h < 8 {
			s.fatal("%s entered %s in the freeze, at %s", run.ID, env, at)
		}
	}
	for _, requirement := range stage.Requires {
		of, name, _ := strings.Cut(requirement, "/")
		found := false
		for _, p := range s.proofs {
			defined := semper.Digest("")
			for _, st := range s.policy.Stages {
				for _, g := range st.Gates {
					if st.Environment == of && g.Name == name {
						defined = g.Definition()
					}
				}
			}
			found = found || p.Environment == of && p.Gate == name && p.About == about(run) && p.Definition == defined &&
				(p.Expires.IsZero() || s.now.Before(p.Expires)) && !p.At.After(s.now.Add(time.Minute))
		}
		if !found {
			s.fatal("%s entered %s without %s", run.ID, env, requirement)
		}
	}
	s.entered[env] = max(s.entered[env], run.Number)
	s.rollouts++
	ro := semper.Rollout{ID: fmt.Sprintf("d-%d", s.rollouts), State: semper.RolloutStage, To: run.Release}
	e := s.envs[env]
	e.App, e.Name, e.Rollout = "shop", env, &ro
	s.envs[env] = e
	next, _ := pipeline.Entered(run, ro, s.now)
	return next
}

func (s *sim) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(s.log[max(0, len(s.log)-40):], "\n"))
}

// happen is one thing that happens to the world.
func (s *sim) happen() {
	pick := func(n int) bool { return s.r.IntN(n) == 0 }
	switch s.r.IntN(12) {
	case 0, 1, 2:
		s.now = s.now.Add(time.Duration(s.r.IntN(40)) * time.Minute)
	case 3:
		if pick(4) {
			s.now = s.now.Add(-time.Duration(s.r.IntN(180)) * time.Minute) // the clock is set back
		} else {
			s.now = s.now.Add(time.Duration(s.r.IntN(30)) * time.Hour)
		}
	case 4:
		for _, id := range slices.Sorted(maps.Keys(s.units)) {
			if pick(2) {
				s.finish(id, semper.Reason{Kind: semper.ReasonNormal})
			} else if pick(3) {
				s.finish(id, semper.Reason{Kind: semper.ReasonExit, Code: 3})
			}
		}
	case 5:
		for _, key := range slices.Sorted(maps.Keys(s.asked)) {
			if pick(2) {
				s.answers[key] = pipeline.Answer{Good: !pick(5), What: "200"}
			}
		}
	case 6, 7:
		s.rollout()
	case 8:
		s.people()
	case 9:
		if pick(4) && len(s.runs) < 6 {
			s.begin()
		}
	case 10:
		if pick(5) {
			s.stopped = "an incident"
		} else {
			s.stopped = ""
		}
	case 11:
		if pick(20) { // the keeper's machine starts anew: it knows of no commands
			s.units = map[semper.InstanceID]pipeline.Unit{}
		}
		if pick(15) { // an admin changes a gate
			p := s.policy
			p.Stages = slices.Clone(p.Stages)
			p.Stages[0].Gates = slices.Clone(p.Stages[0].Gates)
			p.Stages[0].Gates[0].Command = []string{"./smoke", fmt.Sprint(s.r.IntN(3))}
			s.policy = p
		}
	}
}

func (s *sim) begin() {
	n := int64(len(s.runs) + 1)
	rel := semper.Release{App: "shop", Number: 1 + s.r.IntN(int(n)), Config: semper.DigestOf(nil)}
	rel.Artifact = semper.DigestOf([]byte{byte(rel.Number)})
	run, _, err := pipeline.Begin(s.policy, rel, n, "dev", s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.runs = append(s.runs, run)
}

// rollout moves rollouts on, to their end or back.
func (s *sim) rollout() {
	for _, name := range slices.Sorted(maps.Keys(s.envs)) {
		e := s.envs[name]
		r := *e.Rollout
		switch {
		case r.State.Ended():
			continue
		case r.State.Live() && s.r.IntN(10) == 0:
			r.State, r.Reason = semper.RolloutRolledBack, "crash loop"
			e.Current = e.Previous
		case r.State.Live():
			r.State = semper.RolloutDone
		case s.r.IntN(5) == 0:
			r.State, r.Reason = semper.RolloutFailed, "not ready"
		default:
			r.State = semper.RolloutWatch
			e.Previous, e.Current = e.Current, &semper.Placement{Release: r.To}
		}
		e.Rollout = &r
		s.envs[name] = e
	}
}

func (s *sim) people() {
	for i, run := range s.runs {
		var d pipeline.Decision
		var err error
		switch s.r.IntN(6) {
		case 0, 1, 2:
			d, err = pipeline.Approve(run, ops, "looks good", s.now)
		case 3:
			if _, err = pipeline.Approve(run, pipeline.Caller{Name: "mallory", Role: "deployer"}, "", s.now); err == nil {
				s.fatal("mallory approved %s", run.ID)
			}
		case 4:
			if s.r.IntN(6) == 0 {
				d, err = pipeline.Reject(run, ops, "no", s.now)
			}
		case 5:
			d, err = pipeline.Rerun(run, s.world(run).Others, "dev", s.now)
		}
		if err == nil && d.Changed {
			s.store(i, d.Run, d.Statements)
		}
	}
}

// laws hold after each step.
func (s *sim) laws() {
	in := map[string]string{}
	for _, r := range s.runs {
		for _, st := range r.Stages {
			if r.State == course.Running && (st.State == course.StageDeploy || st.State == course.StageLive) {
				if in[st.Environment] != "" {
					s.fatal("%s and %s are in %s", in[st.Environment], r.ID, st.Environment)
				}
				in[st.Environment] = r.ID
			}
		}
	}
}

func TestSimulation(t *testing.T) {
	t.Parallel()
	ends := map[course.State]int{}
	for seed := range uint64(*schedules) {
		s := newSim(t, seed)
		s.begin()
		for range 150 {
			s.happen()
			for i := range s.runs {
				before := s.runs[i]
				s.step(i)
				if !reflect.DeepEqual(before, s.runs[i]) {
					s.log = append(s.log, fmt.Sprintf("%s %s at %d %v", s.now.Format(time.DateTime), s.runs[i].ID, s.runs[i].At, s.runs[i].Stages))
				}
			}
			s.laws()
		}
		s.settle()
		for _, r := range s.runs {
			ends[r.State]++
		}
	}
	for _, state := range []course.State{course.Passed, course.Failed, course.Rejected, course.Superseded} {
		if ends[state] < *schedules/50 {
			t.Errorf("only %d of the runs of %d schedules were %s: the simulation does not go there", ends[state], *schedules, state)
		}
	}
}

// settle: when nothing goes wrong any more, every run comes to its end, and nothing is left over.
func (s *sim) settle() {
	s.stopped = ""
	running := func(r course.Run) bool { return r.State == course.Running }
	for i, more := 0, 10; i < 100 && more > 0; i++ {
		if !slices.ContainsFunc(s.runs, running) {
			more-- // what has ended has its commands ended
		}
		s.now = s.now.Add(7 * time.Hour)
		for _, id := range slices.Sorted(maps.Keys(s.units)) {
			if slices.ContainsFunc(s.runs, func(r course.Run) bool { return running(r) && strings.Contains(string(id), "."+r.ID+".") }) {
				s.finish(id, semper.Reason{Kind: semper.ReasonNormal}) // those of runs that have ended are to be stopped
			}
		}
		for key := range s.asked {
			s.answers[key] = pipeline.Answer{Good: true}
		}
		for name, e := range s.envs {
			if r := *e.Rollout; !r.State.Ended() {
				r.State, e.Current = semper.RolloutDone, &semper.Placement{Release: r.To}
				e.Rollout = &r
				s.envs[name] = e
			}
		}
		for i := range s.runs {
			if d, err := pipeline.Approve(s.runs[i], ops, "fine", s.now); err == nil {
				s.store(i, d.Run, d.Statements)
			}
			for range 3 {
				s.step(i)
				s.laws()
			}
		}
	}
	for _, r := range s.runs {
		if r.State == course.Running {
			s.fatal("%s never ends: at %d, %s: %+v", r.ID, r.At, pipeline.Step(r, s.world(r)).Waiting, r.Stages)
		}
	}
	for id, u := range s.units {
		if !u.Ended {
			s.fatal("%s is left over", id)
		}
	}
}
