package edge

import (
	"context"
	"net"
	"sync"
)

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
