package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errBoom, errNope = errors.New("boom"), errors.New("nope")

// A lab makes children that can be told to fail, and writes down what is done to them.
type lab struct {
	t testing.TB

	mu     sync.Mutex // guards the following
	trace  []string
	events []Event
	fails  map[string]int // how many of the next starts fail
	units  map[string]*unit
	grace  map[string]time.Duration // from Shutdown to the end; never: only Kill ends it
	hangs  map[string]bool          // the start waits for the end of its context
	slow   map[string]time.Duration // how long a start takes
	reason map[string]Reason        // what a Shutdown makes of it
	failed chan struct{}            // readable when a start has failed
}

const never = time.Duration(-1)

func newLab(t testing.TB) *lab {
	return &lab{
		t: t, fails: map[string]int{}, units: map[string]*unit{}, grace: map[string]time.Duration{},
		hangs: map[string]bool{}, slow: map[string]time.Duration{}, reason: map[string]Reason{},
		failed: make(chan struct{}, 1),
	}
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(l *lab)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(newLab(t)) })
}

// A unit is the smallest Child.
type unit struct {
	lab  *lab
	id   string
	done chan struct{}
	once sync.Once
	why  Reason
}

func (u *unit) Done() <-chan struct{} { return u.done }
func (u *unit) Reason() Reason        { return u.why }

func (u *unit) end(r Reason) {
	u.once.Do(func() { u.why = r; close(u.done) })
}

func (u *unit) Shutdown() {
	u.lab.write("stop " + u.id)
	u.lab.mu.Lock()
	grace, r := u.lab.grace[u.id], u.lab.reason[u.id]
	u.lab.mu.Unlock()
	if r == (Reason{}) {
		r.Kind = Shutdown
	}
	switch grace {
	case 0:
		u.end(r)
	case never:
	default:
		time.AfterFunc(grace, func() { u.end(r) })
	}
}

func (u *unit) Kill() {
	u.lab.write("kill " + u.id)
	u.end(Reason{Kind: Killed})
}

func (l *lab) write(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trace = append(l.trace, s)
}

func (l *lab) observe(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *lab) start(ctx context.Context, id string) (Child, error) {
	l.mu.Lock()
	slow, hangs := l.slow[id], l.hangs[id]
	l.mu.Unlock()
	if slow > 0 {
		time.Sleep(slow)
	}
	if hangs {
		<-ctx.Done()
		l.write("cancel " + id)
		return nil, context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.units[id]; old != nil {
		select {
		case <-old.done:
		default:
			l.t.Errorf("%s starts while it runs", id)
		}
	}
	if l.fails[id] > 0 {
		l.fails[id]--
		l.trace = append(l.trace, "startfail "+id)
		select {
		case l.failed <- struct{}{}:
		default:
		}
		return nil, errNope
	}
	l.trace = append(l.trace, "start "+id)
	u := &unit{lab: l, id: id, done: make(chan struct{})}
	l.units[id] = u
	return u, nil
}

// spec is a child of the lab; the options change it.
func (l *lab) spec(id string, options ...func(*ChildSpec)) ChildSpec {
	s := ChildSpec{ID: id, Shutdown: time.Second, Start: func(ctx context.Context) (Child, error) { return l.start(ctx, id) }}
	for _, o := range options {
		o(&s)
	}
	return s
}

func (l *lab) specs(ids string, options ...func(*ChildSpec)) []ChildSpec {
	var specs []ChildSpec
	for id := range strings.FieldsSeq(ids) {
		specs = append(specs, l.spec(id, options...))
	}
	return specs
}

func transient(s *ChildSpec) { s.Restart = Transient }
func temporary(s *ChildSpec) { s.Restart = Temporary }
func stopIn(d time.Duration) func(*ChildSpec) {
	return func(s *ChildSpec) { s.Shutdown = d }
}
func ignoring(s *ChildSpec) {
	s.Start = func(context.Context) (Child, error) { return nil, ErrIgnore }
}

// sup starts a supervisor that is stopped at the end of the test.
func (l *lab) sup(f Flags, specs ...ChildSpec) *Supervisor {
	l.t.Helper()
	s, err := Start(context.Background(), f, specs, Options{Observe: l.observe, Rand: func() float64 { return 0.5 }})
	if err != nil {
		l.t.Fatalf("start: %v", err)
	}
	l.t.Cleanup(s.Kill)
	return s
}

func (l *lab) unit(id string) *unit {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.units[id]
	if u == nil {
		l.t.Fatalf("%s never started", id)
	}
	return u
}

// ends makes children end by themselves, and waits until the supervisor has come to rest.
func (l *lab) ends(r Reason, ids ...string) {
	l.t.Helper()
	for _, id := range ids {
		l.unit(id).end(r)
	}
	synctest.Wait()
}

func (l *lab) crash(ids ...string) { l.t.Helper(); l.ends(Reason{Kind: Crash, Err: errBoom}, ids...) }

func (l *lab) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// take returns what has happened since the last take.
func (l *lab) take() string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.Join(l.trace, ", ")
	l.trace = nil
	return s
}

func (l *lab) want(want string) {
	l.t.Helper()
	if got := l.take(); got != want {
		l.t.Errorf("trace\n got %s\nwant %s", got, want)
	}
}

// story is the events since the last story, as "kind child".
func (l *lab) story() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	var s []string
	for _, e := range l.events {
		s = append(s, fmt.Sprintf("%v %s", e.Kind, e.Child))
	}
	l.events = nil
	return s
}

func (l *lab) wantStory(want ...string) {
	l.t.Helper()
	if got := l.story(); !slices.Equal(got, want) {
		l.t.Errorf("events\n got %q\nwant %q", got, want)
	}
}

// last is the last event of a kind.
func (l *lab) last(k EventKind) Event {
	l.t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range slices.Backward(l.events) {
		if e.Kind == k {
			return e
		}
	}
	l.t.Fatalf("no %v event", k)
	return Event{}
}

func (l *lab) wantErr(err, want error) {
	l.t.Helper()
	if !errors.Is(err, want) {
		l.t.Errorf("error %v, want %v", err, want)
	}
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Errorf("error %v, want none", err)
	}
}

// wantChildren compares the children and their states, written "a:running b:undefined".
func (l *lab) wantChildren(s *Supervisor, want string) {
	l.t.Helper()
	synctest.Wait()
	if got := children(s); got != want {
		l.t.Errorf("children\n got %s\nwant %s", got, want)
	}
}

func children(s *Supervisor) string { return states(s.Children()) }

func states(children []ChildInfo) string {
	var all []string
	for _, c := range children {
		all = append(all, fmt.Sprintf("%s:%v", c.ID, c.State))
	}
	return strings.Join(all, " ")
}

// wantEnded asserts that a supervisor has ended, and how.
func (l *lab) wantEnded(s *Supervisor, kind ReasonKind, err error) {
	l.t.Helper()
	synctest.Wait()
	select {
	case <-s.Done():
	default:
		l.t.Error("the supervisor lives")
		return
	}
	r := s.Reason()
	if r.Kind != kind || !errors.Is(r.Err, err) {
		l.t.Errorf("ended for %v, want %v: %v", r, kind, err)
	}
}

func (l *lab) wantAlive(s *Supervisor) {
	l.t.Helper()
	synctest.Wait()
	select {
	case <-s.Done():
		l.t.Errorf("the supervisor ended: %v", s.Reason())
	default:
	}
}
