package edge

import (
	"net"
	"sync"
)

// A handover is where loops put the connections that are not for them. It is a listener of this process's own.
type handover struct {
	addr net.Addr
	wake chan struct{} // buffered, 1: there may be one

	mu      sync.Mutex // guards what follows
	waiting []net.Conn
	closed  bool
}

func newHandover(addr net.Addr) *handover { return &handover{addr: addr, wake: make(chan struct{}, 1)} }

// give takes c and what was read of it. It does not block.
func (h *handover) give(c net.Conn, read []byte) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		c.Close() //nolint:errcheck // the edge closes
		return
	}
	h.waiting = append(h.waiting, &readAhead{Conn: c, read: read})
	h.mu.Unlock()
	h.knock()
}

func (h *handover) knock() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	for {
		h.mu.Lock()
		if n := len(h.waiting); n > 0 {
			c := h.waiting[0]
			h.waiting[0] = nil
			if h.waiting = h.waiting[1:]; n > 1 {
				h.knock()
			}
			h.mu.Unlock()
			return c, nil
		}
		closed := h.closed
		h.mu.Unlock()
		if closed {
			return nil, net.ErrClosed
		}
		<-h.wake
	}
}

// Close implements net.Listener. What waits is closed.
func (h *handover) Close() error {
	h.mu.Lock()
	h.closed = true
	waiting := h.waiting
	h.waiting = nil
	h.mu.Unlock()
	for _, c := range waiting {
		c.Close() //nolint:errcheck // the edge closes
	}
	h.knock()
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return h.addr }

// readAhead is a connection some of which was read already.
type readAhead struct {
	net.Conn
	read []byte
}

func (c *readAhead) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		if c.read = c.read[n:]; len(c.read) == 0 {
			c.read = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *readAhead) CloseWrite() error { return closeWrite(c.Conn) }
