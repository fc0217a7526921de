package application

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"semper/actor"
	"semper/supervise"
)

var errBoom = errors.New("boom")

// A lab makes applications that can be told to fail, and writes down what is done to them.
type lab struct {
	*testing.T

	mu     sync.Mutex // guards the following
	trace  []string
	events []string
	trees  map[string]*tree
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T, l *lab)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(t, &lab{T: t, trees: map[string]*tree{}}) })
}

func (l *lab) write(f string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trace = append(l.trace, fmt.Sprintf(f, args...))
}

func (l *lab) observe(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := e.Name + " " + e.Kind.String()
	if e.Decision != "" {
		s += " (" + e.Reason.String() + "): " + e.Decision
	}
	l.events = append(l.events, s)
}

// sort forgets the order of what was done.
func (l *lab) sort() {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.trace)
}

// saw compares what was done since the last saw.
func (l *lab) saw(want ...string) {
	l.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.trace, want) {
		l.Errorf("done\n\t%s\nwant\n\t%s", strings.Join(l.trace, "\n\t"), strings.Join(want, "\n\t"))
	}
	l.trace = nil
}

func (l *lab) told(want ...string) {
	l.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.events, want) {
		l.Errorf("told\n\t%s\nwant\n\t%s", strings.Join(l.events, "\n\t"), strings.Join(want, "\n\t"))
	}
	l.events = nil
}

// tree is the smallest tree.
type tree struct {
	lab    *lab
	name   string
	done   chan struct{}
	once   sync.Once
	reason supervise.Reason
	hangs  bool // only Kill ends it
}

func (t *tree) Done() <-chan struct{}    { return t.done }
func (t *tree) Reason() supervise.Reason { return t.reason }
func (t *tree) end(r supervise.Reason)   { t.once.Do(func() { t.reason = r; close(t.done) }) }
func (t *tree) Kill() {
	t.lab.write("kill %s", t.name)
	t.end(supervise.Reason{Kind: supervise.Killed})
}
func (t *tree) Blocking() []string { return []string{"worker"} }

func (t *tree) Shutdown() {
	t.lab.write("shutdown %s", t.name)
	if !t.hangs {
		t.end(supervise.Reason{Kind: supervise.Shutdown})
	}
}

// app is an application whose functions are written down.
func (l *lab) app(name string, dependencies ...string) Application {
	say := func(what string) func(context.Context) error {
		return func(context.Context) error { l.write("%s %s", what, name); return nil }
	}
	return Application{
		Name: name, Dependencies: dependencies, PrepStop: say("prep-stop"), Stop: say("stop"),
		Start: func(context.Context) (supervise.Child, error) {
			l.write("start %s", name)
			t := &tree{lab: l, name: name, done: make(chan struct{})}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.trees[name] = t
			return t, nil
		},
	}
}

// phased gives an application phases that are written down.
func (l *lab) phased(a Application, phases ...string) Application {
	for _, p := range phases {
		a.Phases = append(a.Phases, Phase{p, func(context.Context) error { l.write("%s %s", p, a.Name); return nil }})
	}
	return a
}

func (l *lab) tree(name string) *tree {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trees[name]
}

func (l *lab) controller(apps ...Application) *Controller {
	l.Helper()
	c, err := New(Options{Observe: l.observe}, apps...)
	if err != nil {
		l.Fatal(err)
	}
	return c
}

// up starts all applications.
func (l *lab) up(c *Controller, names ...string) {
	l.Helper()
	if _, err := c.EnsureAllStarted(l.Context(), names...); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) down(c *Controller) {
	l.Helper()
	if err := c.StopAll(l.Context()); err != nil {
		l.Error(err)
	}
	if which := c.Which(); len(which) > 0 {
		l.Errorf("after the stop there are %v", which)
	}
}

func names(all []Info) string {
	var s []string
	for _, i := range all {
		s = append(s, i.Name)
	}
	return strings.Join(s, " ")
}

// with changes an application.
func with(a Application, f func(*Application)) Application { f(&a); return a }

// echo is a process that answers calls with what is asked.
type echo struct{ in string }

func (e *echo) Handle(_ *actor.Self[actor.From[string]], m actor.From[string]) error {
	m.Reply(e.in)
	return nil
}
