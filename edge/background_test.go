package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"semper"
	"semper/edge/balance"
	"semper/edge/hold"
	"semper/edge/probe"
	"semper/supervise"
)

// events collects what the supervisors of an edge tell.
type events struct {
	mu  sync.Mutex
	all []supervise.Event
}

func (v *events) observe(o *Options) {
	o.Observe = func(e supervise.Event) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.all = append(v.all, e)
	}
}

// crashed reports how often a child of a supervisor panicked, and whether it runs again since.
func (v *events) crashed(supervisor, child string) (panics int, again bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.all {
		if e.Supervisor != supervisor || e.Child != child {
			continue
		}
		switch e.Kind {
		case supervise.Ended:
			if strings.HasPrefix(e.Reason.String(), "crash: panic: ") {
				panics, again = panics+1, false
			}
		case supervise.Started:
			again = panics > 0
		}
	}
	return panics, again
}

// breakTend leaves a backend behind whose end panics: once, because it is forgotten before.
func (e *Edge) breakTend() {
	b := &backend{edge: e, balance: balance.NewBackend("broken", &e.changes, 0), retire: func() { panic("a backend that cannot end") }}
	b.balance.InFlight.Retire()
	e.registry.Lock()
	e.backends[incarnation{id: "broken"}] = b
	e.registry.Unlock()
	e.tend()
}

func (f *fixture) get(t *testing.T) string {
	t.Helper()
	resp, err := client(t).Get(f.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	return drainBody(t, resp)
}

// TestTendIsRestarted: a panic in the loop that everything on its way out depends on costs no request, and the loop
// does its work afterwards.
func TestTendIsRestarted(t *testing.T) {
	t.Parallel()
	var seen events
	f := newFixture(t, seen.observe)
	one := start(t, "tcp", "web.r1.1", answer("one"))
	f.table(1, nil, one.Backend)
	f.breakTend()
	eventually(t, "tend runs again", func() bool {
		panics, again := seen.crashed("edge-1/background", "tend")
		return panics == 1 && again
	})
	if got := f.get(t); got != "one" {
		t.Errorf("answer %q, want one", got)
	}
	two := start(t, "tcp", "web.r2.1", answer("two"))
	f.table(2, nil, two.Backend)
	eventually(t, "the backend that was left out is given up", func() bool {
		f.registry.Lock()
		defer f.registry.Unlock()
		return len(f.backends) == 1
	})
	if got := f.get(t); got != "two" {
		t.Errorf("answer %q, want two", got)
	}
}

// TestLineIsRestarted: when the pump of a line panics over one who waits, the others are served all the same.
func TestLineIsRestarted(t *testing.T) {
	t.Parallel()
	var seen events
	f := newFixture(t, seen.observe)
	one := start(t, "tcp", "web.r1.1", answer("one"))
	f.table(1, holding(false, semper.HoldLimits{}), one.Backend)
	got := make(chan string, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer close(got)
		resp, err := client(t).Get(f.url("/"))
		if err != nil {
			t.Error(err)
			return
		}
		got <- drainBody(t, resp)
	})
	eventually(t, "one waits", func() bool { return f.State().Held[webPool] == 1 })
	l := f.lanes[webPool]
	l.Join(&hold.Waiter{Let: func(hold.Verdict) { panic("broken") }}, hold.Bounds{}, true)
	f.table(1, nil, one.Backend)
	if answer := <-got; answer != "one" {
		t.Errorf("who waited beside the broken one got %q, want one", answer)
	}
	if panics, _ := seen.crashed("edge-1/background/lines", string(webPool)); panics != 1 {
		t.Errorf("the pump panicked %d times, want once: this test proves nothing", panics)
	}
}

// TestGivesUpWhatIsBroken: when tend cannot live, the tree in the background ends by itself, and Close still works.
func TestGivesUpWhatIsBroken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, new(events).observe)
	f.registry.Lock()
	f.backends[incarnation{id: "none"}] = nil // panics at every look
	f.registry.Unlock()
	f.tend()
	select {
	case <-f.Background().Done():
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on and on")
	}
	if r := f.Background().Reason(); !errors.Is(r.Err, supervise.ErrIntensity) {
		t.Errorf("it ended as %v, want %v", r, supervise.ErrIntensity)
	}
	f.registry.Lock()
	delete(f.backends, incarnation{id: "none"})
	f.registry.Unlock()
}

// TestBackgroundShowsItsParts: the tree has a child for each thing that works, and none after Close.
func TestBackgroundShowsItsParts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.table(1, nil, start(t, "tcp", "web.r1.1", answer("one")).Backend)
	f.registry.Lock()
	for _, b := range f.backends {
		b.asks(probe.Check{HTTP: true, Path: "/"})
		b.eject("a test", nil)
	}
	f.registry.Unlock()
	var ids []string
	for _, c := range f.Background().Children() {
		ids = append(ids, c.ID)
	}
	if want := []string{"tend", "seeing", "lines", "backends"}; !slices.Equal(ids, want) {
		t.Errorf("children %v, want %v", ids, want)
	}
	eventually(t, "the dead backend is probed", func() bool {
		for _, c := range f.background.Backends.Load().Children() {
			if c.ID == "probe bar/web.r1.1" && c.State == supervise.StateRunning {
				return true
			}
		}
		return false
	})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-f.Background().Done():
	default:
		t.Error("something runs after Close")
	}
	if f.background.Spawn(&f.background.Lines, "late", func(context.Context) { t.Error("ran on a closed edge") }) {
		t.Error("spawned on a closed edge")
	}
}

func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) } //nolint:errcheck // the client tells
}
