package group

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync"

	"semper/actor"
	"semper/actor/internal/owned"
)

// ErrNotJoined says that none of the processes was a member of the group.
var ErrNotJoined = errors.New("not a member of the group: it has left already, has ended, or never joined")

// A Scope is a set of named groups of processes that take messages of type M. Scopes know nothing of each other. All
// methods are safe for concurrent use; none waits, but Broadcast where a member's mailbox does. The zero Scope is ready.
// A Scope must not be copied.
type Scope[M any] struct {
	parts [parts]part[M]
	owned owned.Table[holdings[M], *holdings[M]]
}

const parts = 16

var seed = maphash.MakeSeed()

// New makes a scope without groups, most often for a package variable.
func New[M any]() *Scope[M] {
	s := &Scope[M]{}
	s.owned.Split(parts)
	return s
}

// part is some of the groups. Its lock is taken after that of an owner; with it held only the mailbox of one who monitors
// is touched, so that news come in the order of what happened.
type part[M any] struct {
	mu       sync.RWMutex
	groups   map[string]*group[M]
	watchers map[*watcher[M]]struct{} // of the whole scope
}

// group exists while it has a member or a watcher.
type group[M any] struct {
	members  []*membership[M]
	watchers map[*watcher[M]]struct{}
}

// membership is one time that a process has joined.
type membership[M any] struct {
	of actor.Ref[M]
	at int // in members
}

// holdings is what one process has in a scope: memberships, and monitors of its own. Its owner is locked.
type holdings[M any] struct {
	s        *Scope[M]
	of       actor.Ref[M]
	joined   map[string][]*membership[M]
	watching map[*watcher[M]]struct{}
}

// Empty implements owned.Things.
func (h *holdings[M]) Empty() bool { return len(h.joined) == 0 && len(h.watching) == 0 }

// Release implements owned.Things: the process has ended.
func (h *holdings[M]) Release() {
	for w := range h.watching {
		w.take(h.s)
	}
	for _, name := range slices.Sorted(maps.Keys(h.joined)) {
		h.s.part(name).leave(name, h.of, h.joined[name])
	}
	*h = holdings[M]{}
}

func (s *Scope[M]) part(name string) *part[M] {
	return &s.parts[maphash.String(seed, name)%parts]
}

// Join makes processes members of a group, which comes to be when its first member joins. A process may join as often as
// it likes, is then listed as often, and must leave as often; its end makes it leave altogether. Anyone may make any
// process a member.
//
// ErrNoProc says that some have ended; the others have joined.
func (s *Scope[M]) Join(name string, members ...actor.Ref[M]) error {
	var errs []error
	for of, times := range each(members) {
		err := s.owned.With(of.PID(), func(h *holdings[M]) error {
			h.s, h.of = s, of
			if h.joined == nil {
				h.joined = make(map[string][]*membership[M], 1)
			}
			h.joined[name] = s.part(name).join(name, of, times, h.joined[name])
			return nil
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("%v cannot join group %s: %w", of, name, err))
		}
	}
	return errors.Join(errs...)
}

// Leave takes processes out of a group, each as often as it is given. It is an ErrNotJoined when none was a member, as it
// is not when some were.
func (s *Scope[M]) Leave(name string, members ...actor.Ref[M]) error {
	left := 0
	for of, times := range each(members) {
		s.owned.Known(of.PID(), func(h *holdings[M]) {
			all := h.joined[name]
			if len(all) == 0 {
				return
			}
			keep := max(len(all)-times, 0)
			s.part(name).leave(name, of, all[keep:])
			left += len(all) - keep
			clear(all[keep:])
			if h.joined[name] = all[:keep]; keep == 0 {
				delete(h.joined, name)
			}
		})
	}
	if left == 0 {
		return fmt.Errorf("group %s: %w", name, ErrNotJoined)
	}
	return nil
}

// each is how often each of a list is in it, in the order of their first.
func each[M any](members []actor.Ref[M]) func(yield func(actor.Ref[M], int) bool) {
	return func(yield func(actor.Ref[M], int) bool) {
		if len(members) == 1 {
			yield(members[0], 1)
			return
		}
		times := make(map[actor.Ref[M]]int, len(members))
		for _, of := range members {
			times[of]++
		}
		for _, of := range members {
			if n := times[of]; n > 0 && !yield(of, n) {
				return
			}
			times[of] = 0
		}
	}
}

// join lists a process and appends its memberships to those it has.
func (p *part[M]) join(name string, of actor.Ref[M], times int, to []*membership[M]) []*membership[M] {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.group(name)
	for range times {
		m := &membership[M]{of: of, at: len(g.members)}
		g.members = append(g.members, m)
		to = append(to, m)
	}
	p.tell(g, name, of, times)
	return to
}

// leave takes memberships out.
func (p *part[M]) leave(name string, of actor.Ref[M], gone []*membership[M]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groups[name]
	for _, m := range gone {
		last := len(g.members) - 1
		g.members[m.at] = g.members[last] // the last one takes the place
		g.members[m.at].at = m.at
		g.members[last] = nil
		g.members = g.members[:last]
	}
	p.tell(g, name, of, -len(gone))
	p.tidy(name, g)
}

// group is made when it is not there; mu is held.
func (p *part[M]) group(name string) *group[M] {
	g := p.groups[name]
	if g == nil {
		g = &group[M]{}
		if p.groups == nil {
			p.groups = make(map[string]*group[M])
		}
		p.groups[name] = g
	}
	return g
}

// tidy forgets a group that nobody is in, and lets go of the memory of one that was much larger; mu is held.
func (p *part[M]) tidy(name string, g *group[M]) {
	switch {
	case len(g.members) == 0 && len(g.watchers) == 0:
		delete(p.groups, name)
	case cap(g.members) > 64 && len(g.members) < cap(g.members)/4:
		g.members = append(make([]*membership[M], 0, cap(g.members)/2), g.members...)
	}
}

// Members is who is in a group, each as often as it has joined, in no particular order. Of a group that is not there
// nobody is a member.
func (s *Scope[M]) Members(name string) []actor.Ref[M] {
	p := s.part(name)
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.groups[name].refs()
}

func (g *group[M]) refs() []actor.Ref[M] {
	if g == nil || len(g.members) == 0 {
		return nil
	}
	all := make([]actor.Ref[M], len(g.members))
	for i, m := range g.members {
		all[i] = m.of
	}
	return all
}

// Count is the length of Members.
func (s *Scope[M]) Count(name string) int {
	p := s.part(name)
	p.mu.RLock()
	defer p.mu.RUnlock()
	if g := p.groups[name]; g != nil {
		return len(g.members)
	}
	return 0
}

// Groups is the names of the groups that have members, sorted.
func (s *Scope[M]) Groups() []string {
	var names []string
	for i := range s.parts {
		names = s.parts[i].names(names)
	}
	slices.Sort(names)
	return names
}

func (p *part[M]) names(to []string) []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for name, g := range p.groups {
		if len(g.members) > 0 {
			to = append(to, name)
		}
	}
	return to
}

// Broadcast casts a message to every member, as often as it has joined, and says how many times it was taken. Members
// that end in this moment are not counted, and no error. The error tells of mailboxes that did not take it
// (actor.ErrMailboxFull); the others have it all the same. The end of ctx ends the waiting for room in mailboxes that
// are bounded with Wait. All members get the same value: what it points to is shared.
func (s *Scope[M]) Broadcast(ctx context.Context, name string, m M) (taken int, err error) {
	if ctx == nil {
		return 0, fmt.Errorf("%w: Broadcast wants a context, such as context.Background()", actor.ErrInvalid)
	}
	all := s.Members(name)
	refused := 0
	for _, to := range all {
		switch wrong := to.CastContext(ctx, m); {
		case wrong == nil:
			taken++
		case errors.Is(wrong, actor.ErrNoProc):
		default:
			if refused++; refused == 1 {
				err = fmt.Errorf("%v: %w", to, wrong)
			}
		}
	}
	if err != nil {
		err = fmt.Errorf("%d of %d in group %s did not take the message, the first %w", refused, len(all), name, err)
	}
	return taken, err
}
