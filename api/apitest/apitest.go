package apitest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"semper"
	"semper/api"
	"semper/control/queues"
	taskdesk "semper/control/tasks"
	"semper/queue/mem"
	"semper/task"
)

// Semper is the server in memory. It is safe for concurrent use. Close it.
type Semper struct {
	queues.Desk
	taskdesk.Surface

	tasks  tasks // guarded by mu
	jobs   *mem.Engine
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // rollouts under way

	mu        sync.Mutex // guards the following
	changed   chan struct{}
	now       time.Time
	envs      map[semper.EnvironmentKey]*environment
	releases  map[string][]semper.Release // by app
	artifacts map[semper.Digest]int64     // sizes
	events    []semper.Event
	crashes   []semper.CrashReport
	logs      []api.LogLine
	secrets   map[string]map[string]int // app → name → version
	epoch     semper.Epoch
	revision  int64
	pid       int
	stall     semper.RolloutState
	fault     *Fault
	down      error
	traffic   api.Traffic
	delivery  delivery

	judgements []api.Judgement
	trials     []api.ExperimentInfo
}

type environment struct {
	semper.Environment
	revision  int64
	rollouts  int
	instances []api.Instance
	ledger    map[semper.ReleaseName]semper.Ledger
	spec      semper.Spec // of Current
	cancel    context.CancelFunc
}

// A Fault is how a rollout goes wrong.
type Fault struct {
	Service string
	Reason  semper.Reason
	Tail    []string
	// After the cutover: the new release serves, crash-loops and is turned back. Otherwise it never gets ready.
	After bool
}

var _ api.Service = (*Semper)(nil)

// New is a semper that runs nothing yet.
func New() *Semper {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Semper{
		jobs: mem.New(),
		ctx:  ctx, cancel: cancel,
		changed:   make(chan struct{}),
		now:       time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		envs:      map[semper.EnvironmentKey]*environment{},
		releases:  map[string][]semper.Release{},
		artifacts: map[semper.Digest]int64{},
		secrets:   map[string]map[string]int{},
		pid:       4000,
		delivery:  newDelivery(),
		stall:     semper.RolloutWatch,
	}
	s.Desk, s.Surface = s.desk(), s.taskSurface()
	s.tasks = tasks{desk: taskdesk.New(), units: map[semper.InstanceID]task.Unit{}, out: map[semper.InstanceID]*[2]bytes.Buffer{}}
	return s
}

// Close ends what is under way and waits for it.
func (s *Semper) Close() {
	s.cancel()
	_ = s.jobs.Close() // it cannot fail
	s.wg.Wait()
}

// Stall makes rollouts stay in state until Stall names another one. At first it is "watch".
func (s *Semper) Stall(state semper.RolloutState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stall = state
	s.tellLocked()
}

// Break makes the next rollout go wrong as f says.
func (s *Semper) Break(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = &f
}

// Down makes every call fail with err until it is nil again.
func (s *Semper) Down(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

// Until returns when the environments are as ok wants them, or with the end of ctx.
func (s *Semper) Until(ctx context.Context, ok func(api.Overview) bool) error {
	return s.await(ctx, func() bool { return ok(s.overviewLocked()) })
}

// Count adds to a release's ledger, as traffic would.
func (s *Semper) Count(app, env string, release semper.ReleaseName, l semper.Ledger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.envs[key(app, env)]; e != nil {
		e.ledger[release] = e.ledger[release].Add(l)
	}
	s.tellLocked()
}

// Carry makes t what edges do now.
func (s *Semper) Carry(t api.Traffic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.traffic = t
	s.tellLocked()
}

// Print adds a line to an instance's log.
func (s *Semper) Print(id semper.InstanceID, release semper.ReleaseName, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = append(s.logs, api.LogLine{Instance: id, Release: release, Line: line})
	s.tellLocked()
}

// CrashInstance makes an instance die and come back, with a report. It returns the report's id.
func (s *Semper) CrashInstance(app, env string, id semper.InstanceID, reason semper.Reason, tail ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.envs[key(app, env)]
	for i := range e.instances {
		in := &e.instances[i]
		if in.ID != id {
			continue
		}
		report := s.crashLocked(e, *in, reason, "restart at once", tail)
		in.Restarts++
		s.pid++
		in.PID, in.StartedAt = s.pid, s.clockLocked()
		return report
	}
	return ""
}

// tellLocked wakes everybody who waits for a change.
func (s *Semper) tellLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// clockLocked is the time, a second later at each reading.
func (s *Semper) clockLocked() time.Time {
	s.now = s.now.Add(time.Second)
	return s.now
}

func (s *Semper) eventLocked(e semper.Event) {
	e.Seq, e.At = int64(len(s.events)+1), s.clockLocked()
	s.events = append(s.events, e)
	s.tellLocked()
}

func (s *Semper) crashLocked(e *environment, in api.Instance, reason semper.Reason, decision string, tail []string) string {
	id := fmt.Sprintf("c-%d", len(s.crashes)+1)
	r := semper.CrashReport{
		ID: id, At: s.clockLocked(), What: string(in.ID), App: e.App, Environment: e.Name, Service: in.Service,
		Release: in.Release, Reason: reason, PID: in.PID, Uptime: semper.Duration(1500 * time.Millisecond),
		Restarts: in.Restarts, Window: in.Restarts + 1, Intensity: semper.Intensity{Restarts: 5, Within: semper.Duration(time.Minute)},
		Decision: decision, Tail: tail, Peak: semper.ResourcePeaks{MemoryBytes: 24 << 20, CPU: semper.Duration(80 * time.Millisecond)},
	}
	if e.Current != nil && e.Current.Release != in.Release {
		r.LastGood = e.Current.Release
		r.Diff = s.diffLocked(e.App, r.LastGood, in.Release)
	}
	s.crashes = append(s.crashes, r)
	s.eventLocked(semper.Event{
		Kind: "instance.crashed", App: e.App, Environment: e.Name, Release: in.Release, Instance: in.ID, Crash: id,
		Message: fmt.Sprintf("%s ended: %s; %s", in.ID, reason, decision),
	})
	return id
}

func key(app, env string) semper.EnvironmentKey {
	return semper.Environment{App: app, Name: cmp.Or(env, semper.DefaultEnvironment)}.Key()
}

// findLocked is the environment named, or the only one where no app is.
func (s *Semper) findLocked(app, env string) (*environment, error) {
	if s.down != nil {
		return nil, s.down
	}
	if app == "" {
		var err error
		if app, err = s.onlyLocked(); err != nil {
			return nil, err
		}
	}
	e := s.envs[key(app, env)]
	if e == nil {
		return nil, &semper.Error{
			Code: semper.NotFound, Message: fmt.Sprintf("no app %q in environment %q", app, cmp.Or(env, semper.DefaultEnvironment)),
			Hint: "semper status lists what there is",
		}
	}
	return e, nil
}

func (s *Semper) onlyLocked() (string, error) {
	apps := map[string]bool{}
	for _, e := range s.envs {
		apps[e.App] = true
	}
	var names []string
	for app := range apps {
		names = append(names, app)
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		return "", &semper.Error{Code: semper.NotFound, Message: "nothing is deployed yet", Hint: "deploy something: semper deploy"}
	case 1:
		return names[0], nil
	}
	return "", &semper.Error{Code: semper.Invalid, Message: "several apps run here", Hint: "name one with -a: " + strings.Join(names, ", ")}
}

// await returns when done says so under the lock, or with the end of ctx or of the server.
func (s *Semper) await(ctx context.Context, done func() bool) error {
	for {
		s.mu.Lock()
		if done() {
			s.mu.Unlock()
			return nil
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return &semper.Error{Code: semper.Unavailable, Message: "the server ends"}
		}
	}
}

// HasArtifact implements [api.Service].
func (s *Semper) HasArtifact(_ context.Context, d semper.Digest) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.artifacts[d]
	return ok, s.down
}

// PutArtifact implements [api.Service]: the bytes are checked and counted, not kept.
func (s *Semper) PutArtifact(_ context.Context, d semper.Digest, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if got := semper.DigestOf(b); got != d {
		return &semper.Error{Code: semper.Tampered, Message: fmt.Sprintf("the bytes have digest %s, not %s", got.Short(), d.Short())}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.artifacts[d] = int64(len(b))
	return s.down
}

var errNoRollout = &semper.Error{Code: semper.Conflict, Message: "no rollout is under way", Hint: "semper status shows the last one"}

// Abort implements [api.Service].
func (s *Semper) Abort(_ context.Context, app, env, by string) (semper.Rollout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, env)
	if err != nil {
		return semper.Rollout{}, err
	}
	if e.Rollout == nil || e.Rollout.State.Ended() {
		return semper.Rollout{}, errNoRollout
	}
	e.cancel()
	reason := "aborted by " + by
	if e.Rollout.State.Live() {
		s.turnBackLocked(e, reason)
	} else {
		s.failLocked(e, reason)
	}
	return *e.Rollout, nil
}

// Promote implements [api.Service].
func (s *Semper) Promote(_ context.Context, app, env string, p api.Promotion) (semper.Rollout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, env)
	if err != nil {
		return semper.Rollout{}, err
	}
	if e.Rollout != nil && e.Rollout.State == semper.RolloutTrial {
		return s.skipLocked(e, p), nil
	}
	if e.Rollout == nil || e.Rollout.State != semper.RolloutWatch {
		return semper.Rollout{}, errNoRollout
	}
	e.cancel()
	s.finishLocked(e)
	return *e.Rollout, nil
}

// WaitRollout implements [api.Service].
func (s *Semper) WaitRollout(ctx context.Context, app, env, id, until string) (semper.Rollout, error) {
	var ro semper.Rollout
	var failed error
	err := s.await(ctx, func() bool {
		e, err := s.findLocked(app, env)
		switch {
		case err != nil:
			failed = err
			return true
		case e.Rollout == nil || e.Rollout.ID != id:
			failed = &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no rollout %q", id)}
			return true
		}
		ro = *e.Rollout
		return until == "paused" && ro.Trial != nil && ro.Trial.Paused && !ro.State.Ended() || reached(ro.State, until)
	})
	return ro, errors.Join(failed, err)
}

func reached(state semper.RolloutState, until string) bool {
	switch until {
	case "drained":
		return state.Ended() || state == semper.RolloutWatch || state == semper.RolloutRetire
	case "done":
		return state.Ended()
	}
	return state.Ended() || state.Live()
}
