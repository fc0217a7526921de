package group

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"semper/actor"
)

// A Choice leads to one member of a group, another one each time. It is an actor.Target, so that a call or a cast goes
// to whoever is chosen:
//
//	workers := scope.RoundRobin("workers")
//	n, err := actor.Call(ctx, workers, ask)
//
// It is safe for concurrent use.
type Choice[M any] struct {
	s    *Scope[M]
	name string
	pick func(n int) int // one of n
}

// RoundRobin chooses the members one after the other. Who joins or leaves meanwhile may make one be chosen once more or
// once less in a round. Each Choice has its own rounds.
func (s *Scope[M]) RoundRobin(name string) *Choice[M] {
	var turn atomic.Uint64
	return &Choice[M]{s, name, func(n int) int { return int((turn.Add(1) - 1) % uint64(n)) }}
}

// Random chooses any member, each as likely as the others: one that has joined twice is twice as likely.
func (s *Scope[M]) Random(name string) *Choice[M] {
	return &Choice[M]{s, name, rand.IntN}
}

// Resolve is a living member. actor.ErrNoProc says that the group has none.
func (c *Choice[M]) Resolve() (actor.Ref[M], error) {
	p := c.s.part(c.name)
	p.mu.RLock()
	defer p.mu.RUnlock()
	g := p.groups[c.name]
	if g == nil || len(g.members) == 0 {
		return actor.Ref[M]{}, fmt.Errorf("group %s has no members: %w", c.name, actor.ErrNoProc)
	}
	first := c.pick(len(g.members))
	for i := range g.members { // one that has just ended, and is about to leave, is passed over
		if of := g.members[(first+i)%len(g.members)].of; of.PID().Alive() {
			return of, nil
		}
	}
	return actor.Ref[M]{}, fmt.Errorf("all members of group %s have just ended: %w", c.name, actor.ErrNoProc)
}

// Cast sends a message to a member.
func (c *Choice[M]) Cast(m M) error {
	to, err := c.Resolve()
	if err != nil {
		return err
	}
	return to.Cast(m)
}

func (c *Choice[M]) String() string { return c.name }

// As makes a process a member of the group by its start: it goes into actor.Options.Name. It is how the children of a
// supervisor are in a group from their first moment to their last, without a line in their Init.
func (s *Scope[M]) As(name string) actor.Registrar { return as[M]{s, name} }

type as[M any] struct {
	s    *Scope[M]
	name string
}

func (a as[M]) Register(id actor.PID) error {
	of, err := actor.RefOf[M](id)
	if err != nil {
		return fmt.Errorf("group %s: %w", a.name, err)
	}
	return a.s.Join(a.name, of)
}

func (a as[M]) Unregister(id actor.PID) {
	if of, err := actor.RefOf[M](id); err == nil {
		_ = a.s.Leave(a.name, of) // one that has ended has left
	}
}
