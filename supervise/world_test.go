package supervise

import (
	"errors"
	"fmt"
	"strings"
)

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf(format+"\nlog: %q", append(args, w.log)...)
}

func (w *world) step(in input) {
	w.log = append(w.log, fmt.Sprintf("%T", in))
	before, flags := len(w.counted), w.core.flags
	events, commands := w.core.step(w.now, in)
	for _, e := range events {
		w.log = append(w.log, fmt.Sprintf("%v %s %s", e.Kind, e.Child, e.Decision))
		about := e.Kind == StartFailed || e.Kind == Ended && !e.Reason.External
		if about && (strings.HasPrefix(e.Decision, "restart at once") || strings.HasPrefix(e.Decision, "restart in") ||
			strings.HasPrefix(e.Decision, "give up")) {
			w.counted = append(w.counted, e.At)
		}
	}
	for _, c := range commands {
		w.perform(c)
	}
	if len(w.counted) > before && w.core.flags == flags { // it was judged by those
		w.checkWindow()
	}
	if w.core.stage == over {
		if len(w.alive) > 0 || len(w.starts) > 0 || len(w.open) > 0 {
			w.fail("P4, P5: over with alive %v, starts %d, unanswered %v", w.alive, len(w.starts), w.open)
		}
	}
	if errors.Is(w.core.reason.Err, ErrAutoShutdown) && !w.decided {
		w.fail("P11: shut down for nobody")
	}
	if w.core.dynamic {
		w.checkDynamic()
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

// checkDynamic is P12: whoever is not asked to end, and is no start that was cancelled, lives on; nobody is kept who
// neither runs nor will; and there is room for all.
func (w *world) checkDynamic() {
	c := w.core
	if c.most > 0 && c.kids.size > c.most {
		w.fail("P12: %d children, at most %d", c.kids.size, c.most)
	}
	for k := range c.kids.forward() {
		id := k.name()
		_, lives := w.alive[id]
		switch {
		case k.phase == idle:
			w.fail("P12: %s is kept", id)
		case c.stage == ending && lives && !w.asked[id]:
			w.fail("P12: %s is not asked to end with the others", id)
		}
	}
}

func (w *world) perform(c command) {
	switch c.verb {
	case doStart:
		w.mayStart(c.kid)
		w.kids[c.kid.name()] = c.kid
		w.starts = append(w.starts, c)
	case doShutdown, doKill:
		w.mayAsk(c)
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

func (w *world) mayAsk(c command) {
	id := c.kid.name()
	if n, ok := w.alive[id]; !ok || n != c.n {
		w.fail("asks %s, which does not live", id)
	}
	byCall := len(c.kid.stoppers()) > 0
	inOrder := w.core.stage == ending && !w.core.dynamic || w.core.ordered()
	if !byCall && inOrder && !w.core.killing && !w.asked[id] {
		w.checkOrder(c.kid)
	}
	w.asked[id] = true
}

// mayStart is P1, P7 and P8.
func (w *world) mayStart(k *kid) {
	id := k.name()
	if _, ok := w.alive[id]; ok {
		w.fail("P1: a second %s", id)
	}
	for _, s := range w.starts {
		if s.kid.name() == id {
			w.fail("P1: a second start of %s", id)
		}
	}
	if w.core.stage >= ending && !k.doomed { // one that is may be of a step that went on to the end
		w.fail("%s starts while the supervisor ends", id)
	}
	if k.why == forRestart && w.final[id] && w.core.flags.Strategy == OneForOne {
		w.fail("P7: %s starts after it was terminated", id)
	}
	delete(w.final, id) // by a call, or revived for a sibling's sake
	if k.restart == Temporary && (k.why == forRestart || k.n > 1) && !w.changed {
		w.fail("P8: temporary %s is restarted", id)
	}
}

// checkOrder is P2: whoever is asked to stop is the last that lives.
func (w *world) checkOrder(k *kid) {
	for e := k.next; e != nil; e = e.next {
		later := e.name()
		// One that was asked before by a call is not part of the order.
		if _, ok := w.alive[later]; ok && !w.asked[later] {
			w.fail("P2: %s is stopped before %s", k.name(), later)
		}
	}
}

// rest lets everything under way come to a good end, and checks that nothing hangs.
func (w *world) rest() {
	for range 10_000 {
		if w.settles() {
			continue
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
	count := Counts{}
	for k := range w.core.kids.forward() {
		id := k.name()
		_, lives := w.alive[id]
		if k.phase != idle && k.phase != running || (k.phase == running) != lives {
			w.fail("at rest %s is in phase %d, lives: %v", id, k.phase, lives)
		}
		if k.phase == idle && k.restart == Temporary && w.core.stage == serving && !w.changed {
			w.fail("P8: temporary %s is kept", id)
		}
		if k.pending != nil {
			w.fail("at rest something waits for %s: %+v", id, k.pending)
		}
		count.Specs++
		if lives {
			count.Active++
		}
	}
	if got := w.core.kids.count(); got.Specs != count.Specs || got.Active != count.Active {
		w.fail("counted %+v, are %+v", got, count)
	}
	for name, k := range w.core.byID {
		if !k.listed || k.id != name {
			w.fail("%s is known and not listed", name)
		}
	}
}

// settles lets one thing that is under way come to its end.
func (w *world) settles() bool {
	switch {
	case len(w.starts) > 0:
		w.finishStart(0, nil)
		return true
	case len(w.posted) > 0:
		w.deliver()
		return true
	}
	for _, id := range w.living() {
		if w.asked[id] {
			w.finishChild(id, Reason{Kind: Shutdown})
			return true
		}
	}
	return false
}
