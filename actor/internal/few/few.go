// Package few has collections of which there are many, and in most of which there is one thing: for that they need no
// memory of their own.
package few

import "iter"

// Set is a set of pointers. The zero Set is empty; nil is not in it.
type Set[T any] struct {
	one  *T
	more map[*T]struct{}
}

// Add puts p in.
func (l *Set[T]) Add(p *T) {
	switch {
	case l.Has(p):
	case l.one == nil:
		l.one = p
	case l.more == nil:
		l.more = map[*T]struct{}{p: {}}
	default:
		l.more[p] = struct{}{}
	}
}

// Drop takes p out.
func (l *Set[T]) Drop(p *T) {
	if l.one == p {
		l.one = nil
	} else {
		delete(l.more, p)
	}
}

// Has reports whether p is in it.
func (l *Set[T]) Has(p *T) bool {
	if l.one == p {
		return p != nil
	}
	_, ok := l.more[p]
	return ok
}

// Len is how many there are.
func (l *Set[T]) Len() int {
	n := len(l.more)
	if l.one != nil {
		n++
	}
	return n
}

// All are all of them, in no order.
func (l *Set[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
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

// Funcs are functions to be called once something happens. The zero Funcs are none.
type Funcs struct {
	first func()
	rest  *[]func()
}

// Add adds f.
func (c *Funcs) Add(f func()) {
	switch {
	case c.first == nil:
		c.first = f
	case c.rest == nil:
		c.rest = &[]func(){f}
	default:
		*c.rest = append(*c.rest, f)
	}
}

// Len is how many there are.
func (c *Funcs) Len() int {
	switch {
	case c.first == nil:
		return 0
	case c.rest == nil:
		return 1
	}
	return 1 + len(*c.rest)
}

// Call calls them, in the order they were added.
func (c *Funcs) Call() {
	if c.first != nil {
		c.first()
	}
	if c.rest != nil {
		for _, f := range *c.rest {
			f()
		}
	}
}
