package supervise

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A world is what surrounds a core: it performs commands in any order and at any time, and checks the laws at each.
type world struct {
	t    *rapid.T
	core *core
	now  time.Time

	starts  []command        // under way
	alive   map[string]int   // id → number of the living incarnation
	asked   map[string]bool  // living and told to end
	posted  []input          // the mailbox
	open    map[*call]string // unanswered calls
	counted []time.Time
	final   map[string]bool // terminated, and not started by a call since
	log     []string
}

func newWorld(t *rapid.T) *world {
	f := Flags{
		Strategy:  Strategy(rapid.IntRange(0, 2).Draw(t, "strategy")),
		Intensity: rapid.IntRange(0, 6).Draw(t, "intensity"),
		Period:    time.Second,
		GiveUp:    GiveUp(rapid.IntRange(0, 1).Draw(t, "give up")),
	}
	w := &world{
		t: t, now: time.Unix(1000, 0), alive: map[string]int{}, asked: map[string]bool{},
		open: map[*call]string{}, final: map[string]bool{},
	}
	var specs []ChildSpec
	for i := range rapid.IntRange(0, 5).Draw(t, "children") {
		specs = append(specs, w.spec(fmt.Sprint(i)))
	}
	w.core = newCore(f, specs, w.now, func() float64 { return 0.5 })
	boot := &call{op: opBoot}
	w.open[boot] = "boot"
	w.step(boot)
	return w
}

func (w *world) spec(id string) ChildSpec {
	return ChildSpec{
		ID:       id,
		Restart:  RestartType(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(w.t, "restart")),
		Shutdown: rapid.SampledFrom([]time.Duration{Brutal, Infinity, time.Second}).Draw(w.t, "shutdown"),
		Backoff:  Backoff{Min: rapid.SampledFrom([]time.Duration{0, 0, 100 * time.Millisecond}).Draw(w.t, "min"), Max: time.Second},
	}
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf(format+"\nlog: %q", append(args, w.log)...)
}

func (w *world) step(in input) {
	w.log = append(w.log, fmt.Sprintf("%T", in))
	events, commands := w.core.step(w.now, in)
	for _, e := range events {
		w.log = append(w.log, fmt.Sprintf("%v %s %s", e.Kind, e.Child, e.Decision))
		decided := e.Kind == StartFailed || e.Kind == Ended && !e.Reason.External
		if decided && e.Decision != "none" && !strings.HasPrefix(e.Decision, "restart with") {
			w.counted = append(w.counted, e.At)
		}
	}
	for _, c := range commands {
		w.perform(c)
	}
	w.checkWindow()
	if w.core.stage == over {
		if len(w.alive) > 0 || len(w.starts) > 0 || len(w.open) > 0 {
			w.fail("P4, P5: over with alive %v, starts %d, unanswered %v", w.alive, len(w.starts), w.open)
		}
	}
}

// checkWindow is P3, by a second count of its own.
func (w *world) checkWindow() {
	n := 0
	for _, at := range w.counted {
		if w.now.Sub(at) <= w.core.flags.Period {
			n++
		}
	}
	if w.core.flags.GiveUp == Escalate && n > w.core.flags.Intensity && w.core.stage < ending {
		w.fail("P3: %d restarts, intensity %d", n, w.core.flags.Intensity)
	}
}

func (w *world) perform(c command) {
	switch c.verb {
	case doStart:
		w.mayStart(c.kid)
		w.starts = append(w.starts, c)
	case doShutdown, doKill:
		id := c.kid.id
		if n, ok := w.alive[id]; !ok || n != c.n {
			w.fail("asks %s, which does not live", id)
		}
		byCall := len(c.kid.stoppers()) > 0
		if !byCall && (w.core.stage == ending || w.core.ordered()) && !w.core.killing && !w.asked[id] {
			w.checkOrder(c.kid)
		}
		w.asked[id] = true
	case doRetry:
		w.posted = append(w.posted, retry{kid: c.kid, n: c.n})
	case doAnswer:
		if _, ok := w.open[c.call]; !ok {
			w.fail("P5: a call is answered twice")
		}
		delete(w.open, c.call)
		if c.call.op == opTerminate && c.err == nil {
			w.final[c.call.id] = true
		}
	}
}

// mayStart is P1, P7 and P8.
func (w *world) mayStart(k *kid) {
	id := k.id
	if _, ok := w.alive[id]; ok {
		w.fail("P1: a second %s", id)
	}
	for _, s := range w.starts {
		if s.kid.id == id {
			w.fail("P1: a second start of %s", id)
		}
	}
	if w.core.stage >= ending {
		w.fail("%s starts while the supervisor ends", id)
	}
	if k.why != forRestart {
		delete(w.final, id)
	} else if w.final[id] && w.core.flags.Strategy == OneForOne {
		w.fail("P7: %s starts after it was terminated", id)
	}
	if k.restart == Temporary && (k.why == forRestart || k.n > 1) {
		w.fail("P8: temporary %s is restarted", id)
	}
}

// checkOrder is P2: whoever is asked to stop is the last that lives.
func (w *world) checkOrder(k *kid) {
	for e := k.next; e != nil; e = e.next {
		later := e.id
		// One that was asked before by a call is not part of the order.
		if _, ok := w.alive[later]; ok && !w.asked[later] {
			w.fail("P2: %s is stopped before %s", k.id, later)
		}
	}
}

func (w *world) finishStart(i int, err error) {
	s := w.starts[i]
	w.starts = append(w.starts[:i:i], w.starts[i+1:]...)
	if err == nil {
		w.alive[s.kid.id] = s.n
	}
	w.step(answered{kid: s.kid, n: s.n, err: err})
}

func (w *world) finishChild(id string, r Reason) {
	k, n := w.core.byID[id], w.alive[id]
	delete(w.alive, id)
	delete(w.asked, id)
	w.step(ended{kid: k, n: n, reason: r})
}

func (w *world) living() []string {
	var ids []string
	for k := range w.core.kids.forward() {
		if _, ok := w.alive[k.id]; ok {
			ids = append(ids, k.id)
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
	case what < 97:
		id := fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "id"))
		c := &call{op: op(rapid.IntRange(int(opStart), int(opDelete)).Draw(t, "op")), id: id}
		if c.op == opStart {
			c.spec = w.spec(id)
		}
		w.open[c] = id
		w.step(c)
	case what < 98:
		w.step(nudge{id: fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "id"))})
	case what == 98:
		w.step(stop{reason: Reason{Kind: Shutdown}})
	default:
		w.step(kill{})
	}
}

func (w *world) deliver() {
	if len(w.posted) > 0 {
		in := w.posted[0]
		w.posted = w.posted[1:]
		w.step(in)
	}
}

// rest lets everything under way come to a good end, and checks that nothing hangs.
func (w *world) rest() {
	for range 10_000 {
		switch ids := w.living(); {
		case len(w.starts) > 0:
			w.finishStart(0, nil)
			continue
		case len(w.posted) > 0:
			w.deliver()
			continue
		default:
			stopped := false
			for _, id := range ids {
				if w.asked[id] {
					w.finishChild(id, Reason{Kind: Shutdown})
					stopped = true
					break
				}
			}
			if stopped {
				continue
			}
		}
		at, ok := w.core.next()
		if !ok {
			break
		}
		w.now = at
		w.step(tick{})
	}
	if w.core.stage != serving && w.core.stage != over || w.core.busy() || len(w.core.queue) > 0 || len(w.open) > 0 {
		w.fail("at rest in stage %d, round %v, active %v, %d waiting, %d unanswered",
			w.core.stage, w.core.round, w.core.active, len(w.core.queue), len(w.open))
	}
	for k := range w.core.kids.forward() {
		_, lives := w.alive[k.id]
		if k.phase != idle && k.phase != running || (k.phase == running) != lives {
			w.fail("at rest %s is in phase %d, lives: %v", k.id, k.phase, lives)
		}
		if k.phase == idle && k.restart == Temporary && w.core.stage == serving {
			w.fail("P8: temporary %s is kept", k.id)
		}
	}
}

func TestPropertiesOfTheCore(t *testing.T) {
	t.Parallel()
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

// TestStress runs real loops in real time under everything at once; the race detector and the lab watch.
func TestStress(t *testing.T) {
	t.Parallel()
	for _, f := range []Flags{
		{Strategy: OneForOne, Intensity: 10, Period: time.Millisecond, GiveUp: Persist},
		{Strategy: RestForOne, Intensity: 10, Period: time.Millisecond, GiveUp: Persist},
		{Strategy: OneForAll, Intensity: 1 << 30},
	} {
		l := newLab(t)
		s, err := Start(bg, f, l.specs("0 1 2 3", transient), Options{Observe: l.observe})
		if err != nil {
			t.Fatal(err)
		}
		var hands sync.WaitGroup
		for hand := range 4 {
			hands.Go(func() { l.meddle(s, rand.New(rand.NewPCG(uint64(hand), 7))) })
		}
		hands.Wait()
		if err := s.Stop(bg); err != nil {
			t.Error(err)
		}
		for id, u := range l.units {
			select {
			case <-u.done:
			default:
				t.Errorf("%v: %s outlived its supervisor", f.Strategy, id)
			}
		}
	}
}

func (l *lab) meddle(s *Supervisor, r *rand.Rand) {
	for range 300 {
		id := fmt.Sprint(r.IntN(6))
		switch r.IntN(8) {
		case 0:
			_ = s.StartChild(bg, l.spec(id, func(s *ChildSpec) { s.Restart = RestartType(r.IntN(3)) }))
		case 1:
			_ = s.TerminateChild(bg, id)
		case 2:
			_ = s.RestartChild(bg, id)
		case 3:
			_ = s.DeleteChild(bg, id)
		case 4:
			_ = s.Children()
			_ = s.Blocking()
			s.Nudge(id)
		case 5:
			l.set(func() { l.fails[id] = r.IntN(3) })
		default:
			l.mu.Lock()
			u := l.units[id]
			l.mu.Unlock()
			if u != nil {
				u.end(Reason{Kind: ReasonKind(r.IntN(4))})
			}
		}
	}
}
