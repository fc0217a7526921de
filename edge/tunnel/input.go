package tunnel

import (
	"crypto/tls"
	"net"
	"sync"
	"syscall"
)

const (
	largeBuffer = 32 << 10
	// smallBuffer is that of what is held while nothing comes, where it cannot be known when something does.
	smallBuffer = 4 << 10
)

var (
	larges = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
	smalls = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
)

// wrapped is a connection of which more is needed than its socket: TLS, or one that is no socket.
type wrapped struct {
	net.Conn
	socket syscall.RawConn // below all layers; nil: it has none
}

func wrap(c net.Conn) *wrapped {
	w, below := &wrapped{Conn: c}, bottom(c)
	if s, ok := below.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			w.socket = raw
		}
	}
	return w
}

// CloseWrite ends what is sent, where it can, and leaves what is received.
func (w *wrapped) CloseWrite() error {
	if h, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return nil
}

// bottom is what is below all layers of c.
func bottom(c net.Conn) net.Conn {
	for {
		over, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = over.NetConn()
	}
}

// encrypts reports whether TLS is among the layers of c.
func encrypts(c net.Conn) bool {
	for {
		if _, ok := c.(*tls.Conn); ok {
			return true
		}
		over, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return false
		}
		c = over.NetConn()
	}
}

// ahead is what the layers of c have read of its socket and not handed out.
func ahead(c net.Conn) (read []byte) {
	if _, ok := c.(interface{ NetConn() net.Conn }); !ok || c.SetReadDeadline(past) != nil { // by which the socket is left alone
		return nil
	}
	var b [512]byte
	for {
		n, err := c.Read(b[:])
		if read = append(read, b[:n]...); err != nil {
			return read
		}
	}
}

// An input reads what is wrapped, for one goroutine.
type input struct {
	src net.Conn
	buf []byte // nil while there is nothing
	n   int
}

// read waits for bytes, which are good until the next call. There may be some beside an error.
func (in *input) read() (p []byte, err error) {
	in.n, err = in.src.Read(in.room())
	return in.buf[:in.n], err
}

// room is a buffer that is larger where the last read filled one.
func (in *input) room() []byte {
	if in.n == smallBuffer {
		in.free()
		in.buf = larges.Get().(*[largeBuffer]byte)[:] //nolint:errcheck // nothing else is put there
	}
	if in.buf == nil {
		in.buf = smalls.Get().(*[smallBuffer]byte)[:] //nolint:errcheck // nothing else is put there
	}
	return in.buf
}

func (in *input) free() {
	switch len(in.buf) {
	case largeBuffer:
		larges.Put((*[largeBuffer]byte)(in.buf))
	case smallBuffer:
		smalls.Put((*[smallBuffer]byte)(in.buf))
	}
	in.buf = nil
}
