package otpcase

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"semper/supervise"
)

// supervisor is what the supervisors of all strategies have in common.
type supervisor interface {
	supervise.Child
	Children() []supervise.ChildInfo
	Count() supervise.Counts
}

// A play is one case being played.
type play struct {
	ctx      context.Context
	steps    sync.WaitGroup // the goroutines of calls and of the root's start
	watchers sync.WaitGroup // the goroutines of nested supervisors

	mu          sync.Mutex // guards the following
	events      []event
	scripts     map[string][]string        // by path: what becomes of the next starts
	blocked     map[string]chan struct{}   // by path: a start that waits to be released
	workers     map[string]*worker         // by path: the last incarnation
	children    map[string]supervise.Child // the same and the supervisors, as their supervisor knows them
	templates   map[string]template        // by path of a simple_one_for_one
	supervisors map[string]supervisor      // by path: those that acknowledged their start and have not ended
	pending     []*pending
	state       []string // what the supervisors said at the last rest
	root        supervisor
	stopped     bool // the root was asked to stop
	rootErr     error
}

// A pending call has not been answered, or its answer not been written down.
type pending struct {
	step   int
	path   string // of the supervisor that was asked
	answer string // empty until there is one
}

// ErrLate says that the machine was too busy for a case with short windows: its trace would say nothing. Play it again.
var ErrLate = errors.New("the machine was too slow for the windows of this case")

// slack is how far the clock may run ahead of the waits of a case with short windows.
const slack = 800 * time.Millisecond

// Run plays c on package supervise and returns what happened. It takes as long as the steps say; in a bubble of
// testing/synctest that is no time. The end of ctx is checked between steps. When Run returns, nothing of c runs.
func Run(ctx context.Context, c Case) (Trace, error) {
	if err := c.validate(); err != nil {
		return Trace{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	p := &play{
		ctx: context.WithoutCancel(ctx), scripts: map[string][]string{}, blocked: map[string]chan struct{}{},
		workers: map[string]*worker{}, children: map[string]supervise.Child{},
		templates: map[string]template{}, supervisors: map[string]supervisor{},
	}
	t := Trace{Name: c.Name}
	began, nominal := time.Now(), time.Duration(0)
	p.boot(&c.Tree)
	alive := p.rest(&t, "boot")
	for i, s := range c.Steps {
		if !alive || ctx.Err() != nil {
			break
		}
		nominal += time.Duration(s.Ms) * time.Millisecond
		head := fmt.Sprintf("%d %s", i+1, p.do(i+1, &s))
		alive = p.rest(&t, head)
	}
	late := c.Tree.timed() && time.Since(began) > nominal+slack
	p.finish(&t, alive)
	switch {
	case ctx.Err() != nil:
		return Trace{}, context.Cause(ctx)
	case late:
		return Trace{}, ErrLate
	}
	return t, nil
}

// boot starts the root, without waiting for it.
func (p *play) boot(t *Tree) {
	p.load("", t)
	p.steps.Go(func() {
		root, err := p.supervise(p.ctx, identity{}, t)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.root, p.rootErr = root, err
		if err == nil {
			p.supervisors[""] = root
		}
	})
}

// load takes over the scripts that the specs of a tree give.
func (p *play) load(path string, t *Tree) {
	for _, c := range t.Children {
		if !t.dynamic() {
			p.script(join(path, c.ID), c.Starts)
		}
		if c.Tree != nil {
			p.load(join(path, c.ID), c.Tree)
		}
	}
}

func (p *play) script(path string, starts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(starts) > 0 {
		p.scripts[path] = slices.Clone(starts)
	}
}

// finish lets go of what is blocked, stops the root if that has not happened, and writes down the root's end.
func (p *play) finish(t *Trace, alive bool) {
	if alive {
		p.releaseAll()
		if alive = p.rest(t, "release all"); alive {
			p.stop()
			p.rest(t, "end")
		}
	}
	p.releaseAll()
	p.steps.Wait()
	p.mu.Lock()
	root, err := p.root, p.rootErr
	p.mu.Unlock()
	if err != nil {
		t.add("ended: %s", bootFailure(err))
	} else {
		<-root.Done()
		t.add("ended: %v", root.Reason().Kind)
	}
	p.watchers.Wait()
	for _, path := range slices.Sorted(maps.Keys(p.workers)) {
		if p.workers[path].lives() {
			t.add("left: %s", path)
		}
	}
}

func (p *play) releaseAll() {
	p.mu.Lock()
	paths := slices.Collect(maps.Keys(p.scripts))
	p.mu.Unlock()
	for _, path := range paths {
		p.release(path)
	}
}

// bootFailure names the child whose start failed, from the root down.
func bootFailure(err error) string {
	var path []string
	for failure := (*supervise.StartError)(nil); errors.As(err, &failure); err = failure.Err {
		path = append(path, failure.Child)
	}
	return "failed to start " + strings.Join(path, "/")
}

// do begins a step and says it in words. It does not wait for what comes of it, except for time to pass.
func (p *play) do(n int, s *Step) string {
	switch s.Do {
	case "exit":
		p.mu.Lock()
		w := p.workers[s.Child]
		p.mu.Unlock()
		if w == nil || !w.end(reasonOf(s.Reason)) {
			return fmt.Sprintf("exit %s %s: none", s.Child, s.Reason)
		}
		return fmt.Sprintf("exit %s %s", s.Child, s.Reason)
	case "starts":
		p.script(s.Child, s.Starts)
		return fmt.Sprintf("starts %s %s", s.Child, strings.Join(s.Starts, " "))
	case "advance":
		time.Sleep(time.Duration(s.Ms) * time.Millisecond)
		return fmt.Sprintf("advance %d", s.Ms)
	case "release":
		p.release(s.Child)
		return "release " + s.Child
	case "stop":
		p.stop()
	case "kill":
		p.kill()
	default:
		return p.call(n, s)
	}
	return s.Do
}

func (p *play) stop() {
	root := p.living("")
	if root == nil {
		return
	}
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	root.Shutdown()
}

func (p *play) kill() {
	if root := p.living(""); root != nil {
		root.Kill()
		<-root.Done()
	}
	p.watchers.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = nil // in OTP every process ends for itself then, in no order
}

// living is the supervisor at path, nil if none has acknowledged its start.
func (p *play) living(path string) supervisor {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.supervisors[path]
}

// call asks a supervisor, and leaves the waiting to a goroutine.
func (p *play) call(n int, s *Step) string {
	path, id := parent(s.Child)
	if s.Do == "start_child" {
		path, id = s.Supervisor, s.Spec.ID
	}
	words := fmt.Sprintf("%s %s", s.Do, join(path, id))
	sup := p.living(path)
	if sup == nil {
		return words + ": noproc"
	}
	if n, ok := sup.(*nested); ok {
		sup = n.supervisor
	}
	q := &pending{step: n, path: path}
	p.mu.Lock()
	p.pending = append(p.pending, q)
	p.mu.Unlock()
	p.steps.Go(func() {
		a := answer(p.ask(sup, path, id, s))
		p.mu.Lock()
		defer p.mu.Unlock()
		q.answer = a
	})
	return words
}

// parent splits the path of a child in its supervisor's and its id.
func parent(path string) (string, string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// answer says an error in OTP's words.
func answer(err error) string {
	if failure := (*supervise.StartError)(nil); errors.As(err, &failure) {
		return "error" // whatever it wraps
	}
	for _, a := range []struct {
		err  error
		word string
	}{
		{supervise.ErrAlreadyStarted, "already_started"}, {supervise.ErrAlreadyPresent, "already_present"},
		{supervise.ErrNotFound, "not_found"}, {supervise.ErrRunning, "running"}, {supervise.ErrRestarting, "restarting"},
		{supervise.ErrStopping, "noproc"}, {supervise.ErrIgnore, "ok"}, {errSimple, "simple_one_for_one"},
	} {
		if errors.Is(err, a.err) {
			return a.word
		}
	}
	if err != nil {
		return "error"
	}
	return "ok"
}

// answered takes the calls that have their answer, in the order of their steps.
func (p *play) answered() []*pending {
	var done []*pending
	p.pending = slices.DeleteFunc(p.pending, func(q *pending) bool {
		if q.answer != "" {
			done = append(done, q)
		}
		return q.answer != ""
	})
	slices.SortFunc(done, func(a, b *pending) int { return cmp.Compare(a.step, b.step) })
	return done
}
