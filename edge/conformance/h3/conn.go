package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"

	"github.com/quic-go/quic-go"

	"semper/edge/conformance/wire"
)

// The numbers of RFC 9114 that a client needs here.
const (
	frameData, frameHeaders, frameSettings = 0x0, 0x1, 0x4
	streamControl                          = 0x0

	// NoError is that of an end without an error, and cancelled that of a request that its client gave up.
	NoError, cancelled = 0x100, 0x10c
)

// A Stream is what came of a request.
type Stream struct {
	wire.Response
	Interim []*wire.Response
	Ended   bool    // the answer is whole
	Left    bool    // the client has given it up
	Reset   *uint64 // how the server broke it off
}

// A Conn is one connection. Its methods may be called by one goroutine at a time; others of its own read what comes back.
type Conn struct {
	conn  *quic.Conn
	ctx   context.Context // of writes
	works sync.WaitGroup
	out   map[uint32]*quic.Stream

	Deaf bool // nothing is read of streams opened from now on

	mu      sync.Mutex // guards what follows
	streams map[uint32]*Stream
	garbage error // the server sent what is no HTTP/3
	changed chan struct{}
}

// Dial connects to addr. The end of ctx ends what waits in the Conn's methods.
func Dial(ctx context.Context, addr string, t *tls.Config) (*Conn, error) {
	t = t.Clone()
	t.NextProtos = []string{"h3"}
	q, err := quic.DialAddr(ctx, addr, t, nil)
	if err != nil {
		return nil, fmt.Errorf("connect to the proxy by QUIC: %w", err)
	}
	c := &Conn{conn: q, ctx: ctx, out: make(map[uint32]*quic.Stream), streams: make(map[uint32]*Stream), changed: make(chan struct{})}
	control, err := q.OpenUniStream()
	if err == nil {
		_, err = control.Write([]byte{streamControl, frameSettings, 0})
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Early reports whether the server takes early data: a second connection offers it with the first one's session.
func Early(ctx context.Context, addr string, t *tls.Config) (bool, error) {
	t = t.Clone()
	t.NextProtos, t.ClientSessionCache = []string{"h3"}, tls.NewLRUClientSessionCache(1)
	for range 2 {
		q, err := quic.DialAddrEarly(ctx, addr, t, nil)
		if err != nil {
			return false, fmt.Errorf("connect to the proxy by QUIC: %w", err)
		}
		select {
		case <-q.HandshakeComplete():
		case <-ctx.Done():
		}
		s, err := q.OpenStreamSync(ctx) // until one is answered, the ticket may be on its way
		if err == nil {
			_, err = s.Write(headers([]string{":method", "GET", ":scheme", "https", ":authority", t.ServerName, ":path", "/"}))
		}
		if err == nil {
			err = s.Close()
		}
		if err == nil {
			_, err = io.Copy(io.Discard, s)
		}
		state := q.ConnectionState()
		if err = errors.Join(err, q.CloseWithError(NoError, "")); err != nil {
			return false, err
		}
		if state.TLS.DidResume {
			return state.Used0RTT, nil
		}
	}
	return false, errors.New("no session is resumed: early data could not be offered")
}

// Open sends fields on a stream, as its head or, if it has had one, as its trailer; end: nothing follows.
func (c *Conn) Open(stream uint32, end bool, fields ...string) error {
	if c.out[stream] == nil {
		s, err := c.conn.OpenStreamSync(c.ctx)
		if err != nil {
			return err
		}
		c.out[stream] = s
		c.change(func() { c.streams[stream] = new(Stream) })
		if !c.Deaf {
			c.works.Go(func() { c.read(stream, s) })
		}
	}
	return c.send(stream, end, headers(fields))
}

// Data sends a frame of content.
func (c *Conn) Data(stream uint32, end bool, data string) error {
	return c.send(stream, end, frame(frameData, []byte(data)))
}

// Leave gives a request up: both its directions are broken off.
func (c *Conn) Leave(stream uint32) error {
	c.change(func() { c.streams[stream].Left = true })
	c.out[stream].CancelWrite(cancelled)
	c.out[stream].CancelRead(cancelled)
	return c.conn.Context().Err()
}

// send writes b. That the server wants no more of a stream is no error: its answer says what it thinks of it.
func (c *Conn) send(stream uint32, end bool, b []byte) error {
	s := c.out[stream]
	if d, ok := c.ctx.Deadline(); ok {
		s.SetWriteDeadline(d) //nolint:errcheck // the write tells
	}
	_, err := s.Write(b)
	var unwanted *quic.StreamError
	if errors.As(err, &unwanted) {
		return nil
	}
	if err == nil && end {
		err = s.Close()
	}
	return err
}

func (c *Conn) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Wait returns when ok holds of the streams, which it must not keep, or the connection has ended, or ctx; true for the first two.
func (c *Conn) Wait(ctx context.Context, ok func(map[uint32]*Stream) bool) bool {
	for {
		c.mu.Lock()
		fine, changed := c.garbage != nil || ok(c.streams), c.changed
		c.mu.Unlock()
		if fine {
			return true
		}
		select {
		case <-changed:
		case <-c.conn.Context().Done():
			c.works.Wait() // what has come is read
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// An End is how a connection was when it was closed.
type End struct {
	Streams map[uint32]*Stream
	Garbage error   // what came was no HTTP/3
	Error   *uint64 // the server gave the connection up, with this
	Lost    error   // it ended in another way
}

// End closes the connection and tells what was seen of it.
func (c *Conn) End() (End, error) {
	var e End
	if cause := context.Cause(c.conn.Context()); cause != nil {
		var over *quic.ApplicationError
		if errors.As(cause, &over) && over.Remote {
			code := uint64(over.ErrorCode)
			e.Error = &code
		} else {
			e.Lost = cause
		}
	}
	err := c.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	e.Streams, e.Garbage = maps.Clone(c.streams), c.garbage
	return e, err
}

// Close ends the connection.
func (c *Conn) Close() error {
	err := c.conn.CloseWithError(NoError, "")
	c.works.Wait()
	return err
}
