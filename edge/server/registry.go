package server

import (
	"sync"

	"semper/edge/front"
	"semper/edge/park"
	"semper/edge/room"
)

// shards is how many parts the registry has, so that connections that come and go at once seldom meet.
const shards = 32

// A shard is a part of the connections.
type shard struct {
	mu     sync.Mutex // guards what follows, and what conns say is the shard's
	all    []*conn
	handed map[*hijackedConn]struct{} // to handlers; nil before the first
	busy   *conn                      // those with a request under way, linked
	_      [80]byte                   // the next shard is on other cache lines
}

// add makes c known, and counts its goroutine; false when the server is closed.
func (s *Server) add(c *conn) bool {
	if !s.enter() {
		return false
	}
	s.conns.Add(1)
	h := &s.shards[s.turn.Add(1)%shards]
	c.home = h
	h.mu.Lock()
	c.at = len(h.all)
	h.all = append(h.all, c)
	h.mu.Unlock()
	if s.ctx.Err() != nil { // Close may have looked before c was there
		c.interrupt(markOver)
	}
	return true
}

// remove forgets c.
func (s *Server) remove(c *conn) {
	c.home.mu.Lock()
	c.home.removeLocked(c)
	c.home.mu.Unlock()
	s.left(c.room)
}

func (h *shard) removeLocked(c *conn) {
	last := len(h.all) - 1
	h.all[c.at] = h.all[last]
	h.all[c.at].at = c.at
	h.all[last] = nil
	h.all = h.all[:last]
}

// left says that a connection has ended.
func (s *Server) left(r *room.Room) {
	r.Leave()
	s.conns.Add(-1)
	s.o.OnIdle()
}

// handOver gives c to a handler. Of the server's is only the count then.
func (s *Server) handOver(c *conn) *hijackedConn {
	g, h := &hijackedConn{Conn: c.nc, server: s, home: c.home, room: c.room}, c.home
	h.mu.Lock()
	defer h.mu.Unlock()
	h.removeLocked(c)
	if h.handed == nil {
		h.handed = make(map[*hijackedConn]struct{})
	}
	if h.handed[g] = struct{}{}; s.ctx.Err() != nil { // Close may have looked before g was there
		c.socket.Close()
	}
	return g
}

// forget ends what handOver has begun, and reports whether that had not been done before.
func (s *Server) forget(g *hijackedConn) bool {
	g.home.mu.Lock()
	defer g.home.mu.Unlock()
	_, there := g.home.handed[g]
	delete(g.home.handed, g)
	return there
}

// closeHanded closes what handlers have.
func (s *Server) closeHanded() {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		for g := range h.handed {
			below(g.Conn).Close()
		}
		h.mu.Unlock()
	}
}

// enter and leave say when c has a request under way.
func (h *shard) enter(c *conn, now int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.since, c.prev, c.next = now, nil, h.busy
	if h.busy != nil {
		h.busy.prev = c
	}
	h.busy = c
}

func (h *shard) leave(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.since == 0 {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		h.busy = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.since, c.prev, c.next = 0, nil, nil
}

// each calls do for each connection, with its shard locked.
func (s *Server) each(do func(*conn)) {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		for _, c := range h.all {
			do(c)
		}
		h.mu.Unlock()
	}
}

// eachBusy calls do for each connection with a request under way, with its shard locked.
func (s *Server) eachBusy(do func(shard int, c *conn)) {
	for i := range s.shards {
		h := &s.shards[i]
		h.mu.Lock()
		for c := h.busy; c != nil; c = c.next {
			do(i, c)
		}
		h.mu.Unlock()
	}
}

// sweep wakes the connections that wait for a request: each looks whether one is there, and closes itself.
func (s *Server) sweep() {
	s.each(func(c *conn) {
		if c.idle.Load() {
			c.nc.SetReadDeadline(past) //nolint:errcheck // then it ends by itself
		}
	})
	s.parked.WakeDue(park.Never)
	s.sweepH2()
}

func (s *Server) cut(which func(front.Session) bool) {
	s.eachBusy(func(_ int, c *conn) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.flow != nil && which(c.session) {
			c.interruptLocked(markCut)
		}
	})
}
