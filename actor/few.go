package actor

import "iter"

// links are the processes that one is linked to: mostly its parent alone, for which there is no map.
type links struct {
	one  *process
	more map[*process]struct{}
}

func (l *links) add(p *process) {
	switch {
	case l.has(p):
	case l.one == nil:
		l.one = p
	case l.more == nil:
		l.more = map[*process]struct{}{p: {}}
	default:
		l.more[p] = struct{}{}
	}
}

// drop takes p out; the one that stood alone may be nil afterwards while there are more.
func (l *links) drop(p *process) {
	if l.one == p {
		l.one = nil
	} else {
		delete(l.more, p)
	}
}

func (l *links) has(p *process) bool {
	if l.one == p {
		return p != nil
	}
	_, ok := l.more[p]
	return ok
}

func (l *links) len() int {
	n := len(l.more)
	if l.one != nil {
		n++
	}
	return n
}

func (l *links) all() iter.Seq[*process] {
	return func(yield func(*process) bool) {
		if l.one != nil && !yield(l.one) {
			return
		}
		for p := range l.more {
			if !yield(p) {
				return
			}
		}
	}
}

// funcs are functions to be called at a death: mostly one, that of the supervisor.
type funcs struct {
	first func()
	rest  *[]func()
}

func (c *funcs) add(f func()) {
	switch {
	case c.first == nil:
		c.first = f
	case c.rest == nil:
		c.rest = &[]func(){f}
	default:
		*c.rest = append(*c.rest, f)
	}
}

func (c *funcs) len() int {
	switch {
	case c.first == nil:
		return 0
	case c.rest == nil:
		return 1
	}
	return 1 + len(*c.rest)
}

func (c *funcs) call() {
	if c.first != nil {
		c.first()
	}
	if c.rest != nil {
		for _, f := range *c.rest {
			f()
		}
	}
}
