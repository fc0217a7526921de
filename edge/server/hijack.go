package server

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"time"

	"semper/edge/room"
)

// Hijack implements http.Hijacker. What the client sent behind the request stands in the reader. The connection counts as
// the server's until it is closed, and Server.Close closes it.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.body.close() // before the lock: whoever reads may want it for 100 Continue
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked {
		return nil, nil, http.ErrHijacked
	}
	if w.started {
		w.flushLocked()
	}
	if w.err != nil {
		return nil, nil, w.err
	}
	c := w.c
	c.home.leave(c)
	c.watch(nil)
	w.hijacked = true
	read := bytes.Clone(c.in.bytes())
	c.in.free()
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return nil, nil, err
	}
	nc := c.server.handOver(c)
	in := bufio.NewReaderSize(&prefixed{Conn: c.nc, read: read}, max(smallBuffer, len(read)))
	if len(read) > 0 {
		in.Peek(len(read)) //nolint:errcheck // it is at hand: handlers look whether something is buffered
	}
	return nc, bufio.NewReadWriter(in, bufio.NewWriter(nc)), nil
}

// A hijackedConn is a connection that a handler has. What it was to the server is gone.
type hijackedConn struct {
	net.Conn
	server *Server
	home   *shard
	room   *room.Room
}

// Close takes it out of the server's count as well.
func (h *hijackedConn) Close() error {
	err := h.Conn.Close()
	if h.server.forget(h) {
		h.server.left(h.room)
	}
	return err
}

// Yield says that the socket below belongs to whoever calls it, and h is not used any more. The server counts the
// connection until what is returned is closed, which is done once; the socket is closed before the server is.
func (h *hijackedConn) Yield() io.Closer {
	if h.server.forget(h) {
		return &place{h.server, h.room}
	}
	return (*place)(nil)
}

// place is that of a connection which was yielded, in the server's count and in its room. That of nil is in none.
type place struct {
	server *Server
	room   *room.Room
}

// Close implements io.Closer.
func (p *place) Close() error {
	if p != nil {
		p.server.left(p.room)
	}
	return nil
}

// CloseWrite ends what is sent and leaves what is received.
func (h *hijackedConn) CloseWrite() error { return closeWrite(h.Conn) }

// NetConn is the connection that was hijacked.
func (h *hijackedConn) NetConn() net.Conn { return h.Conn }

// ReadFrom lets the kernel copy where it can.
func (h *hijackedConn) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := h.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{h.Conn}, r)
}
