package supervise

import "time"

// Abandoned is one incarnation that was killed and still has a goroutine that has not returned. Nobody waits for it:
// its successor may run already.
type Abandoned struct {
	Path  string    // its id below those of the supervisors it was under, joined by "/"
	Since time.Time // when it ended, as far as its supervisor is concerned
}

// abandoner is a child that may leave abandoned ones behind: a supervisor.
type abandoner interface{ Abandoned() []Abandoned }

// A remnant is what an incarnation left behind.
type remnant struct {
	name  string
	since time.Time
	gone  <-chan struct{} // of a child that was killed
	below abandoner       // or of a supervisor that has ended
}

func (r remnant) list() []Abandoned {
	if r.below != nil {
		return under(r.name, r.below)
	}
	select {
	case <-r.gone:
		return nil
	default:
		return []Abandoned{{Path: r.name, Since: r.since}}
	}
}

func under(name string, a abandoner) []Abandoned {
	list := a.Abandoned()
	for i := range list {
		list[i].Path = name + "/" + list[i].Path
	}
	return list
}

// remnants are those that may be left. They are swept when their number has doubled, so that a crash loop whose
// children do return in the end keeps none of them.
type remnants struct {
	all   []remnant
	sweep int // how many there may be before the next look
}

func (r *remnants) add(one remnant) {
	if len(one.list()) == 0 {
		return
	}
	if len(r.all) >= max(r.sweep, 8) {
		r.list()
		r.sweep = 2 * len(r.all)
	}
	r.all = append(r.all, one)
}

// list drops those that are gone.
func (r *remnants) list() (all []Abandoned) {
	kept := r.all[:0]
	for _, one := range r.all {
		if list := one.list(); len(list) > 0 {
			kept = append(kept, one)
			all = append(all, list...)
		}
	}
	clear(r.all[len(kept):])
	r.all = kept
	return all
}

// bury takes note of what an incarnation that has ended leaves behind.
func (l *loop) bury(k *kid, r Reason, now time.Time) {
	one := remnant{name: k.name(), since: now}
	if below, ok := k.child.(abandoner); ok {
		one.below = below
	} else if a, ok := k.child.(Abandonable); ok && r.Kind == Killed {
		one.gone = a.Gone()
	} else {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left.add(one)
}

// Abandoned lists the incarnations that were killed, also earlier ones and those below, of which a goroutine still
// runs. It answers after the end of the supervisor too.
func (l *loop) Abandoned() []Abandoned {
	type nested struct {
		name string
		abandoner
	}
	var below []nested
	l.mu.Lock()
	list := l.left.list()
	for k := range l.core.kids.forward() {
		if a, ok := k.child.(abandoner); ok && (k.phase == running || k.phase == stopping) {
			below = append(below, nested{k.name(), a})
		}
	}
	l.mu.Unlock()
	for _, n := range below {
		list = append(list, under(n.name, n.abandoner)...)
	}
	return list
}
