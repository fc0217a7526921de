package supervise

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A world is what surrounds a core: it performs commands in any order and at any time, and checks the laws at each
// (world_test.go). Children go by the name of their kid, which is the id or, without ids, a number never used again.
type world struct {
	t    *rapid.T
	core *core
	now  time.Time

	starts  []command        // under way
	kids    map[string]*kid  // that were ever started
	alive   map[string]int   // the number of the living incarnation
	asked   map[string]bool  // living and told to end
	posted  []input          // the mailbox
	open    map[*call]string // unanswered calls
	counted []time.Time
	final   map[string]bool // terminated, and not started by a call since
	decided bool            // a significant child has ended by itself
	changed bool            // flags and specs have been changed
	log     []string
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, now: time.Unix(1000, 0), kids: map[string]*kid{}, alive: map[string]int{}, asked: map[string]bool{},
		open: map[*call]string{}, final: map[string]bool{},
	}
	half := func() float64 { return 0.5 }
	if rapid.IntRange(0, 3).Draw(t, "dynamic") == 0 {
		f := w.flags()
		f.Strategy, f.AutoShutdown = OneForOne, Never
		w.core = newDynamicCore(f, rapid.SampledFrom([]int{0, 3}).Draw(t, "most"), w.now, half)
	} else {
		f := w.flags()
		w.core = newCore(f, w.specs(f), w.now, half)
	}
	boot := &call{op: opBoot}
	w.open[boot] = "boot"
	w.step(boot)
	return w
}

func (w *world) flags() Flags {
	return Flags{
		Strategy:     Strategy(rapid.IntRange(0, 2).Draw(w.t, "strategy")),
		Intensity:    rapid.IntRange(0, 6).Draw(w.t, "intensity"),
		Period:       time.Second,
		GiveUp:       GiveUp(rapid.IntRange(0, 1).Draw(w.t, "give up")),
		AutoShutdown: AutoShutdown(rapid.IntRange(0, 2).Draw(w.t, "auto-shutdown")),
	}
}

func (w *world) specs(f Flags) []ChildSpec {
	var specs []ChildSpec
	for _, id := range rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 0, 5, rapid.ID).Draw(w.t, "children") {
		specs = append(specs, w.spec(fmt.Sprint(id), f))
	}
	return specs
}

func (w *world) spec(id string, f Flags) ChildSpec {
	s := ChildSpec{
		ID:       id,
		Start:    newStill,
		Restart:  RestartType(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(w.t, "restart")),
		Shutdown: rapid.SampledFrom([]time.Duration{Brutal, Infinity, time.Second}).Draw(w.t, "shutdown"),
		Backoff:  Backoff{Min: rapid.SampledFrom([]time.Duration{0, 0, 100 * time.Millisecond}).Draw(w.t, "min"), Max: time.Second},
	}
	if f.AutoShutdown != Never && s.Restart != Permanent {
		s.Significant = rapid.Bool().Draw(w.t, "significant")
	}
	return s
}

func (w *world) finishStart(i int, err error) {
	s := w.starts[i]
	w.starts = append(w.starts[:i:i], w.starts[i+1:]...)
	in := answered{kid: s.kid, n: s.n, err: err}
	if err == nil {
		w.alive[s.kid.name()] = s.n
		in.child = new(still)
	}
	w.step(in)
}

func (w *world) finishChild(id string, r Reason) {
	k, n := w.kids[id], w.alive[id]
	// Where it is served at once, the outcome is known.
	known := w.core.stage == serving && !w.core.busy() && k.phase == running
	ends := known && w.decides(k, r)
	w.decided = w.decided || k.significant || w.changed
	delete(w.alive, id)
	delete(w.asked, id)
	w.step(&ended{kid: k, n: n, reason: r})
	if auto := errors.Is(w.core.reason.Err, ErrAutoShutdown); known && auto != ends {
		w.fail("P11: %s ended for %v: shut down %v, want %v", id, r, auto, ends)
	}
}

// decides says, from what the world sees, whether this end shuts the supervisor down.
func (w *world) decides(k *kid, r Reason) bool {
	mode := w.core.flags.AutoShutdown
	if !k.significant || mode == Never || k.restart == Transient && r.Abnormal() {
		return false
	}
	for other := range w.core.kids.forward() {
		id := other.name()
		_, lives := w.alive[id]
		returns := other.phase == waiting || other.phase == starting && !other.doomed
		if mode == AllSignificant && other != k && other.significant && (lives && !w.asked[id] || returns) {
			return false
		}
	}
	return true
}

func (w *world) living() []string {
	var ids []string
	for k := range w.core.kids.forward() {
		if _, ok := w.alive[k.name()]; ok {
			ids = append(ids, k.name())
		}
	}
	return ids
}

// act does one random thing.
func (w *world) act() {
	t := w.t
	switch what := rapid.IntRange(0, 99).Draw(t, "what"); {
	case what < 30 && len(w.starts) > 0:
		err := rapid.SampledFrom([]error{nil, nil, nil, errNope, ErrIgnore}).Draw(t, "outcome")
		w.finishStart(rapid.IntRange(0, len(w.starts)-1).Draw(t, "which"), err)
	case what < 55:
		if ids := w.living(); len(ids) > 0 {
			w.finishChild(rapid.SampledFrom(ids).Draw(t, "who"), Reason{
				Kind:     ReasonKind(rapid.IntRange(0, 3).Draw(t, "reason")),
				External: rapid.IntRange(0, 4).Draw(t, "external") == 0,
			})
		}
	case what < 65:
		w.deliver()
	case what < 75:
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 700).Draw(t, "ms")) * time.Millisecond)
		w.step(tick{})
	case what < 95:
		w.call()
	case what < 97:
		w.change()
	case what < 98:
		w.step(nudge{id: fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "id"))})
	case what == 98:
		w.step(stop{reason: Reason{Kind: Shutdown}})
	default:
		w.step(kill{})
	}
}

func (w *world) call() {
	id := fmt.Sprint(rapid.IntRange(0, 6).Draw(w.t, "id"))
	c := &call{op: op(rapid.IntRange(int(opStart), int(opDelete)).Draw(w.t, "op")), id: id}
	if w.core.dynamic {
		c.id = ""
		if c.op != opStart {
			names := w.known()
			if len(names) == 0 {
				return
			}
			c.op, c.id = opTerminate, rapid.SampledFrom(names).Draw(w.t, "child")
			c.child = w.kids[c.id].child
		}
	}
	if c.op == opStart {
		c.spec = w.spec(c.id, w.core.flags)
	}
	w.open[c] = c.id
	w.step(c)
}

// known are the kids that a Dynamic's caller can name: those that have been running.
func (w *world) known() (names []string) {
	for k := range w.core.kids.forward() {
		if k.child != nil {
			names = append(names, k.name())
		}
	}
	return names
}

func (w *world) change() {
	w.changed = true
	to := &settings{flags: w.flags(), most: w.core.most}
	if w.core.dynamic {
		to.flags.Strategy, to.flags.AutoShutdown = OneForOne, Never
	} else {
		to.specs = w.specs(to.flags)
	}
	c := &call{op: opChange, to: to}
	w.open[c] = "change"
	w.step(c)
}

func (w *world) deliver() {
	if len(w.posted) > 0 {
		in := w.posted[0]
		w.posted = w.posted[1:]
		w.step(in)
	}
}

func TestPropertiesOfTheCore(t *testing.T) {
	t.Parallel()
	for range 20 { // rapid's own hundred cases are a matter of milliseconds
		rapid.Check(t, func(t *rapid.T) {
			w := newWorld(t)
			for range rapid.IntRange(0, 120).Draw(t, "steps") {
				w.act()
			}
			w.rest()
			w.step(stop{reason: Reason{Kind: Shutdown}})
			w.rest()
			if w.core.stage != over {
				w.fail("not over after stop")
			}
		})
	}
}
