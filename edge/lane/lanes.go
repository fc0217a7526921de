package lane

import (
	"maps"
	"slices"
	"sync"
)

// Lanes are those before one pool: its own, and one for each route to it that is held by itself. Its methods, and those of the
// pool's own lane, are safe for concurrent use.
type Lanes struct {
	*Lane // the pool's own

	make   func(route string) *Lane
	mu     sync.Mutex // guards what follows
	routes map[string]*Lane
}

// NewLanes are lanes in which nobody waits. make makes the one for a route, or the pool's own for "".
func NewLanes(make func(route string) *Lane) *Lanes { return &Lanes{Lane: make(""), make: make} }

// Of is the lane of a route: one of its own while it is held by itself, and after that until the last has left it.
func (l *Lanes) Of(route string, held bool) *Lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.routes[route]
	switch {
	case held && own == nil:
		own = l.make(route)
		if l.routes == nil {
			l.routes = make(map[string]*Lane)
		}
		l.routes[route] = own
	case own != nil && !held && own.Waiting() == 0:
		delete(l.routes, route)
		own = nil
	}
	if own == nil {
		return l.Lane
	}
	return own
}

// Wake makes all of them look again.
func (l *Lanes) Wake() {
	l.Lane.Wake()
	for _, r := range l.all() {
		r.Wake()
	}
}

// Waiting is how many wait, in all of them.
func (l *Lanes) Waiting() int {
	n := l.Lane.Waiting()
	for _, r := range l.all() {
		n += r.Waiting()
	}
	return n
}

// AppendRoutes adds how many wait in the lane of each route to those that there are, by the routes' names. It makes the map when there
// is something to say.
func (l *Lanes) AppendRoutes(to map[string]int) map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, r := range l.routes {
		if n := r.Waiting(); n > 0 {
			if to == nil {
				to = make(map[string]int)
			}
			to[name] += n
		}
	}
	return to
}

func (l *Lanes) all() []*Lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.routes))
}
