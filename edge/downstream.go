package edge

import (
	"cmp"
	"context"
	"net"
	"sync"
	"time"
)

// Connections bounds the connections of an edge. What is zero has a default.
type Connections struct {
	Head    time.Duration // for a request's head, whole; 10 s
	Idle    time.Duration // of a client's connection between two requests; 75 s
	Kept    int           // idle connections to one backend; in loops: of each loop; 256
	KeptFor time.Duration // how long an idle connection to a backend is kept; 60 s
}

func (c Connections) whole() Connections {
	return Connections{
		Head: cmp.Or(c.Head, 10*time.Second), Idle: cmp.Or(c.Idle, 75*time.Second),
		Kept: cmp.Or(c.Kept, 256), KeptFor: cmp.Or(c.KeptFor, time.Minute),
	}
}

// A door is a listener this edge accepts from.
type door struct {
	net.Listener
	once sync.Once
	ctx  context.Context    // ends with it
	end  context.CancelFunc // whoever serves it returns then, and closes it
}

// open makes l a door; false when the edge takes no connections any more, and l is closed then.
func (e *Edge) open(l net.Listener) (*door, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := &door{Listener: l}
	d.ctx, d.end = context.WithCancel(e.ctx)
	if e.closed || e.draining.Load() {
		d.Close() //nolint:errcheck // nobody ever accepted from it
		return nil, false
	}
	e.doors[d] = struct{}{}
	return d, true
}

// Close gives this process's descriptor back, once.
func (d *door) Close() (err error) {
	d.once.Do(func() {
		d.end()
		err = d.Listener.Close()
	})
	return err
}
