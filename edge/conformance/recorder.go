package conformance

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"semper/edge/conformance/wire"
)

// End is what a [Recorder] does with the connection after its answer.
type End int

// The ends of a reply.
const (
	Keep  End = iota // wait for the next request, unless the request or the answer says that there is none
	Close            // end the stream, then read until the peer does the same
	Reset            // an RST
	Hang             // answer nothing more, and read until the peer closes
)

// Reply is what a [Recorder] does with one request. The zero Reply is a 200 whose body is the request line.
type Reply struct {
	Early   bool   // answer when the head is there, and read the body after that
	Raw     string // the answer, byte for byte; it need not be HTTP
	Endless bool   // write Raw again and again until nobody takes it
	Tunnel  bool   // what follows Raw is no HTTP: record it, and answer nothing
	Late    string // written when [Recorder.Release] is called
	End     End
}

const methodHead = "HEAD"

// Message is what a [Recorder] got of one request.
type Message struct {
	Conn    int           // which connection, counted from 1
	Index   int           // which message of its connection, counted from 0: above 0 the connection was reused
	Request *wire.Request // nil without a whole head
	Err     error         // why it is no whole, well-formed request
	Done    bool          // Err is final, or the request is whole
	Open    bool          // the proxy has its connection open still
	Bytes   int64         // received on its connection so far
	Sent    int64         // written to its connection so far
}

// Whole reports whether this is one well-formed request from beginning to end.
func (m *Message) Whole() bool { return m.Done && m.Err == nil }

// A Recorder is the instance behind a proxy under test: it records what reaches it and answers by script. It judges with
// package wire and closes a connection on which something arrives that is no request. Safe for concurrent use.
type Recorder struct {
	// Observe, where set before the first connection, gets every message when it is done, and nothing is kept.
	Observe func(Message)

	l  net.Listener
	wg sync.WaitGroup

	mu       sync.Mutex // guards what follows
	script   func(head *wire.Request) Reply
	messages []*recorded
	conns    map[net.Conn]bool
	opened   int
	closed   bool
	changed  chan struct{} // closed and made anew at every change of messages
	release  chan struct{}
}

// recorded is a message with what its connection is in; r.mu guards both.
type recorded struct {
	Message
	conn *recordedConn
}

type recordedConn struct {
	net.Conn
	id          int
	open        bool
	bytes, sent int64
}

// Record listens on addr of network, "tcp" or "unix". Close it.
func Record(network, addr string) (*Recorder, error) {
	l, err := net.Listen(network, addr)
	if err != nil {
		return nil, fmt.Errorf("record at %s: %w", addr, err)
	}
	r := &Recorder{l: l, conns: make(map[net.Conn]bool), changed: make(chan struct{}), release: make(chan struct{}),
		script: func(*wire.Request) Reply { return Reply{} }}
	r.wg.Go(r.accept)
	return r, nil
}

// Addr is where it listens.
func (r *Recorder) Addr() net.Addr { return r.l.Addr() }

// Close ends the listener and every connection, and waits for their goroutines.
func (r *Recorder) Close() error {
	err := r.l.Close()
	r.mu.Lock()
	r.closed = true
	for c := range r.conns {
		c.Close()
	}
	r.releaseLocked()
	r.mu.Unlock()
	r.wg.Wait()
	return err
}

// Begin forgets what was recorded and answers by script from now on. script runs in the goroutines of connections.
func (r *Recorder) Begin(script func(head *wire.Request) Reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = nil
	r.script = script
	r.releaseLocked()
	r.release = make(chan struct{})
}

// Release lets every Late of the current script be written.
func (r *Recorder) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.releaseLocked()
}

func (r *Recorder) releaseLocked() {
	select {
	case <-r.release:
	default:
		close(r.release)
	}
}

// Messages are those that began since the last Begin, in the order in which they began.
func (r *Recorder) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.messagesLocked()
}

func (r *Recorder) messagesLocked() []Message {
	all := make([]Message, len(r.messages))
	for i, m := range r.messages {
		all[i] = m.Message
		all[i].Open, all[i].Bytes, all[i].Sent = m.conn.open, m.conn.bytes, m.conn.sent
	}
	return all
}

// Wait returns the messages once ok holds for them, and false if ctx ends before that.
func (r *Recorder) Wait(ctx context.Context, ok func([]Message) bool) ([]Message, bool) {
	for {
		r.mu.Lock()
		all, changed := r.messagesLocked(), r.changed
		r.mu.Unlock()
		if ok(all) {
			return all, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return all, false
		}
	}
}

// change does f with mu held and tells those who wait.
func (r *Recorder) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Recorder) accept() {
	for {
		c, err := r.l.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			c.Close()
			return
		}
		r.opened++
		w := &recordedConn{Conn: c, id: r.opened, open: true}
		r.conns[c] = true
		r.wg.Go(func() { r.serve(w) })
		r.mu.Unlock()
	}
}

func (r *Recorder) serve(c *recordedConn) {
	defer func() {
		c.Close()
		r.change(func() {
			c.open = false
			delete(r.conns, c.Conn)
		})
	}()
	in := bufio.NewReaderSize(counting{r, c}, 4<<10)
	for n := 0; ; n++ {
		if _, err := in.Peek(1); err != nil {
			return
		}
		m := &recorded{Message: Message{Conn: c.id, Index: n}, conn: c}
		var script func(*wire.Request) Reply
		r.change(func() {
			script = r.script
			if r.Observe == nil {
				r.messages = append(r.messages, m)
			}
		})
		if !r.exchange(c, in, m, script) {
			return
		}
	}
}

// counting counts what is read of a connection.
type counting struct {
	r *Recorder
	c *recordedConn
}

func (t counting) Read(p []byte) (int, error) {
	n, err := t.c.Read(p)
	t.r.mu.Lock()
	t.c.bytes += int64(n)
	t.r.mu.Unlock()
	return n, err
}

// exchange reads one request and answers it; false when the connection is over.
func (r *Recorder) exchange(c *recordedConn, in *bufio.Reader, m *recorded, script func(*wire.Request) Reply) bool {
	q, err := wire.ReadRequestHead(in)
	if err != nil {
		r.done(m, nil, err)
		return false
	}
	r.change(func() {
		m.Request = &wire.Request{Method: q.Method, Target: q.Target, Minor: q.Minor, Fields: q.Fields, Framing: q.Framing, Length: q.Length}
	})
	reply := script(q)
	if reply.Early && r.answer(c, q, reply) != nil {
		r.done(m, q, errors.New("the answer found nobody"))
		return false
	}
	if !reply.Early && q.Framing != wire.NoBody && strings.EqualFold(q.Fields.Get("Expect"), "100-continue") {
		r.write(c, "HTTP/1.1 100 Continue\r\n\r\n") //nolint:errcheck // the read of the body sees it
	}
	err = q.ReadBody(in)
	r.done(m, q, err)
	if err != nil {
		return false
	}
	if !reply.Early && r.answer(c, q, reply) != nil {
		return false
	}
	return r.after(c, in, q, reply)
}

// after does what a reply asks for behind its answer; false when the connection is over.
func (r *Recorder) after(c *recordedConn, in *bufio.Reader, q *wire.Request, reply Reply) bool {
	if reply.Late != "" {
		r.mu.Lock()
		release := r.release
		r.mu.Unlock()
		<-release
		r.write(c, reply.Late) //nolint:errcheck // a peer that is gone is what the test wants
	}
	switch {
	case reply.End == Reset:
		if t, ok := c.Conn.(*net.TCPConn); ok {
			t.SetLinger(0) //nolint:errcheck // then it is a FIN
		}
		return false
	case reply.End == Hang, reply.Tunnel:
		io.Copy(io.Discard, in) //nolint:errcheck // until the peer has enough
		return false
	case reply.End == Close, q.Close():
		if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
			h.CloseWrite()          //nolint:errcheck // the peer learns it either way
			io.Copy(io.Discard, in) //nolint:errcheck // a close over unread bytes would be a reset
		}
		return false
	}
	return true
}

// answer writes what the reply says, or the echo.
func (r *Recorder) answer(c *recordedConn, q *wire.Request, reply Reply) error {
	raw := reply.Raw
	if raw == "" && reply.End != Reset && reply.End != Hang {
		body := q.Method + " " + q.Target + "\n"
		raw = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", len(body))
		if q.Method != methodHead {
			raw += body
		}
	}
	for {
		if err := r.write(c, raw); err != nil || !reply.Endless {
			return err
		}
	}
}

func (r *Recorder) write(c *recordedConn, s string) error {
	n, err := io.WriteString(c, s)
	r.mu.Lock()
	c.sent += int64(n)
	r.mu.Unlock()
	return err
}

func (r *Recorder) done(m *recorded, q *wire.Request, err error) {
	r.change(func() { m.Request, m.Err, m.Done = q, err, true })
	if r.Observe != nil {
		r.Observe(m.Message)
	}
}
