package group

import (
	"fmt"

	"semper/actor"
)

// A Change is the Info that a process gets which monitors a group or a scope, once for each time that a process joins or
// leaves, with how often it did so at once. Together with the members that the Monitor began with they are exactly the
// membership: none is missed, and those of one group come in the order in which they happened. That of a process which
// ends comes before the Down of the process.
type Change[M any] struct {
	Monitor Monitor[M]
	Group   string
	Member  actor.Ref[M]
	Times   int // how often it has joined, or, negative, left
}

// Joined reports whether the member joined; otherwise it left.
func (c Change[M]) Joined() bool { return c.Times > 0 }

// A Monitor is what one process has asked to be told of. The zero Monitor is none. Monitors are comparable.
type Monitor[M any] struct {
	s *Scope[M]
	w *watcher[M]
}

type watcher[M any] struct {
	s     *Scope[M]
	id    actor.PID
	group string
	all   bool // of the whole scope
}

// Monitor tells the process self from now on who joins and leaves a group, and returns who is in it now. The group need
// not be there. Monitors stack: two tell everything twice. They end with their process.
func (s *Scope[M]) Monitor(self actor.Process, name string) (Monitor[M], []actor.Ref[M], error) {
	var members []actor.Ref[M]
	m, err := s.watch(self, &watcher[M]{s: s, group: name}, func(w *watcher[M]) {
		p := s.part(name)
		p.mu.Lock()
		defer p.mu.Unlock()
		g := p.group(name)
		if g.watchers == nil {
			g.watchers = make(map[*watcher[M]]struct{}, 1)
		}
		g.watchers[w] = struct{}{}
		members = g.refs()
	})
	return m, members, err
}

// MonitorScope tells the process self from now on who joins and leaves any group, and returns who is in them now.
func (s *Scope[M]) MonitorScope(self actor.Process) (Monitor[M], map[string][]actor.Ref[M], error) {
	groups := make(map[string][]actor.Ref[M])
	m, err := s.watch(self, &watcher[M]{s: s, all: true}, func(w *watcher[M]) {
		for i := range s.parts {
			s.parts[i].watchAll(w, groups)
		}
	})
	return m, groups, err
}

func (p *part[M]) watchAll(w *watcher[M], groups map[string][]actor.Ref[M]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers == nil {
		p.watchers = make(map[*watcher[M]]struct{}, 1)
	}
	p.watchers[w] = struct{}{}
	for name, g := range p.groups {
		if members := g.refs(); members != nil {
			groups[name] = members
		}
	}
}

func (s *Scope[M]) watch(self actor.Process, w *watcher[M], begin func(*watcher[M])) (Monitor[M], error) {
	if self == nil {
		return Monitor[M]{}, fmt.Errorf("%w: a monitor wants the Self of the process that is to be told, not nil", actor.ErrInvalid)
	}
	w.id = self.PID()
	err := s.owned.With(w.id, func(h *holdings[M]) error {
		h.s = s
		if h.watching == nil {
			h.watching = make(map[*watcher[M]]struct{}, 1)
		}
		h.watching[w] = struct{}{}
		begin(w)
		return nil
	})
	if err != nil {
		return Monitor[M]{}, fmt.Errorf("%v cannot monitor: %w", w.id, err)
	}
	return Monitor[M]{s, w}, nil
}

// Stop ends the monitor and reports whether it had not ended before. A Change that is in the mailbox already is delivered
// all the same; its Monitor tells which it is of.
func (m Monitor[M]) Stop() (stopped bool) {
	if m.w == nil {
		return false
	}
	m.s.owned.Known(m.w.id, func(h *holdings[M]) {
		if _, stopped = h.watching[m.w]; stopped {
			delete(h.watching, m.w)
			m.w.take(m.s)
		}
	})
	return stopped
}

// take takes a watcher out.
func (w *watcher[M]) take(s *Scope[M]) {
	if w.all {
		for i := range s.parts {
			s.parts[i].unwatchAll(w)
		}
		return
	}
	p := s.part(w.group)
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.groups[w.group]; g != nil {
		delete(g.watchers, w)
		p.tidy(w.group, g)
	}
}

func (p *part[M]) unwatchAll(w *watcher[M]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watchers, w)
}

// tell sends a Change to all who want it; mu is held, so that everyone gets them in order.
func (p *part[M]) tell(g *group[M], name string, of actor.Ref[M], times int) {
	c := Change[M]{Group: name, Member: of, Times: times}
	for _, watchers := range [...]map[*watcher[M]]struct{}{g.watchers, p.watchers} {
		for w := range watchers {
			c.Monitor = Monitor[M]{w.s, w}
			_ = w.id.Inform(c) // one that has ended is about to be taken out
		}
	}
}
