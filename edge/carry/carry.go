// Package carry keeps the drivers of listeners that carry their own connections: each for as long as it has any.
package carry

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"semper/edge/front"
)

// Carriers are those of an edge. The zero value has none. Methods may be called from any goroutine.
type Carriers struct {
	mu     sync.Mutex // guards what follows
	all    []*carried
	closed bool
}

// A carried driver is that of a front.Carrier.
type carried struct {
	front.Driver
	left atomic.Bool // it takes no more connections
}

// Serve has c's driver take what comes, until ctx ends. The connections stay, and so does the driver for as long as there are
// some: those before it that have none left end now.
func (s *Carriers) Serve(ctx context.Context, c front.Carrier, onIdle func()) error {
	own := &carried{Driver: c.Driver(onIdle)}
	defer own.left.Store(true)
	var spent []*carried
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(net.ErrClosed, own.Close())
	}
	s.all = append(slices.DeleteFunc(s.all, func(c *carried) bool {
		over := c.left.Load() && c.Connections() == 0
		if over {
			spent = append(spent, c)
		}
		return over
	}), own)
	s.mu.Unlock()
	for _, c := range spent {
		c.Close() //nolint:errcheck // nothing is left
	}
	return own.Serve(ctx, c)
}

// Drivers are those there are.
func (s *Carriers) Drivers() (all []front.Driver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.all {
		all = append(all, c)
	}
	return all
}

// Shut lets no driver begin any more. Those there are go on: whoever shuts closes them.
func (s *Carriers) Shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}
