package main

import (
	"context"
	"errors"
	"time"

	"semper/bench/proxy/contender"
	"semper/bench/proxy/generate"
	"semper/bench/proxy/proc"
)

// few is the room for connections of a process that will hold next to none.
const few = 512

// idle measures what a connection costs that does nothing: the memory of a process that holds many and has just room for them, less that of
// one that holds none and has room for few. So what is set aside for connections at the start counts as theirs. A process that has held
// many does not give all back, so each reading has new ones. What the kernel has for a socket is not in it: it is the same for all.
func idle(ctx context.Context, b *bench) error {
	n := min(b.held, (b.descriptors-1500)/2) // a WebSocket is two descriptors of the proxy
	if n < b.held {
		say("idle: %d connections instead of %d, as a process here may have %d descriptors", n, b.held, b.descriptors)
	}
	for _, kind := range []holding{
		{"idle/connection", n, contender.Room{Clients: n + few, Instances: few}, generate.Connections},
		{"idle/websocket", n, contender.Room{Clients: n + few, Instances: n + few}, generate.WebSockets},
	} {
		out := map[string]bool{}
		for round := range b.rounds {
			for i := range b.contenders {
				c := b.contenders[(i+round)%len(b.contenders)]
				if out[c.Name] {
					continue
				}
				err := b.hold(ctx, c, round, kind)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil {
					out[c.Name] = true
					b.problem("%s, %s, round %d: %v", kind.row, c.Name, round+1, err)
				}
			}
		}
	}
	return nil
}

// holding is what is held for a row.
type holding struct {
	row  string
	n    int
	room contender.Room
	open func(ctx context.Context, address string, n int) (*generate.Held, error)
}

// hold is one reading of idle.
func (b *bench) hold(ctx context.Context, c contender.Contender, round int, kind holding) error {
	small, err := b.resident(ctx, c, contender.Room{Clients: few, Instances: few}, nil)
	if err != nil {
		return err
	}
	large, err := b.resident(ctx, c, kind.room, func(r *contender.Running) (*generate.Held, error) { return kind.open(ctx, r.Setup.HTTP, kind.n) })
	if err != nil {
		return err
	}
	each := func(grown int64) float64 { return float64(grown) / float64(kind.n) }
	b.record(kind.row, c.Name, round, each(large.PSS-small.PSS), map[string]float64{
		"connections": float64(kind.n), "rss": each(large.RSS - small.RSS), "pss_before": float64(small.PSS), "pss_after": float64(large.PSS),
	})
	return nil
}

// resident is the memory of a new process that has done some work, and then holds what open opens, if anything.
func (b *bench) resident(ctx context.Context, c contender.Contender, room contender.Room, open func(*contender.Running) (*generate.Held, error)) (proc.Memory, error) {
	r, err := b.start(ctx, c, b.app, room)
	if err != nil {
		return proc.Memory{}, err
	}
	defer r.Stop()
	if err := b.warm(ctx, r); err != nil {
		return proc.Memory{}, err
	}
	if open != nil {
		held, err := open(r)
		if err != nil {
			return proc.Memory{}, err
		}
		defer held.Close()
	}
	if err := rest(ctx, time.Second); err != nil {
		return proc.Memory{}, err
	}
	m, err := r.Memory()
	return m, errors.Join(err, r.Alive())
}

// rest waits d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
