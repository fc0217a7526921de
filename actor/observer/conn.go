package observer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	helloTime = 5 * time.Second // for a program to say who it is
	writeTime = 5 * time.Second // for a line to leave
	// maxOpen is how many answers a program may owe. So many questions fit into the buffer of any socket, so that a
	// program which does not read keeps nobody waiting.
	maxOpen = 16

	// A program may send so many bytes a second on average; a line counts lineCost more than it has.
	paceBytes = 4 << 20
	lineCost  = 512
)

var (
	// ErrBusy says that a program owes too many answers already.
	ErrBusy = errors.New("the program does not answer: too many questions are open; ask again later")
	// ErrClosed says that the connection has ended; what is known about why is wrapped beside it.
	ErrClosed = errors.New("the connection to the program has ended")
)

// A RemoteError is what the program answered instead of what it was asked for.
type RemoteError struct{ Text string }

func (e *RemoteError) Error() string { return "the program answers: " + e.Text }

// A Conn is semper's half of one connection: it asks a program. Nothing that the program does can block it for longer
// than the context of a call, or make it hold more than a line and what a line becomes. All methods are safe for
// concurrent use.
type Conn struct {
	conn    net.Conn
	hello   Hello
	onCrash func(Crash)
	turn    chan struct{} // full while a line is being written
	closing chan struct{} // closed when it is to end
	done    chan struct{} // closed when it has ended

	mu    sync.Mutex
	last  uint64
	open  map[uint64]chan message // nil for a question that nobody waits for any more
	cause error
}

// Accept takes over a connection that a program has made, and waits up to 5 s for it to say who it is. onCrash, which
// may be nil, is called for each crash report, one at a time, by the goroutine that reads: a slow one slows the program's
// reports and answers, and it must not Close the Conn. An error has closed the connection.
func Accept(c net.Conn, onCrash func(Crash)) (*Conn, error) {
	in := newLines(c)
	hello, err := greet(c, in)
	if err != nil {
		c.Close()
		return nil, err
	}
	if onCrash == nil {
		onCrash = func(Crash) {}
	}
	s := &Conn{
		conn: c, hello: hello, onCrash: onCrash, turn: make(chan struct{}, 1), closing: make(chan struct{}),
		done: make(chan struct{}), open: make(map[uint64]chan message),
	}
	go s.read(in)
	return s, nil
}

func greet(c net.Conn, in *lines) (Hello, error) {
	if err := c.SetReadDeadline(time.Now().Add(helloTime)); err != nil {
		return Hello{}, fmt.Errorf("%w: %w", ErrClosed, err)
	}
	line, err := in.next()
	if err != nil {
		return Hello{}, fmt.Errorf("%w before the program said who it is: %w", ErrClosed, err)
	}
	m, err := decode(line)
	switch {
	case err != nil:
		return Hello{}, err
	case m.Hello == nil:
		return Hello{}, fmt.Errorf("%w: the first line is no hello", ErrProtocol)
	case m.V != Version:
		return Hello{}, fmt.Errorf("%w: version %d of it, and only %d is known here", ErrProtocol, m.V, Version)
	}
	m.Hello.Program = cut(m.Hello.Program, maxText)
	return *m.Hello, c.SetReadDeadline(time.Time{})
}

// Hello is what the program said of itself.
func (c *Conn) Hello() Hello { return c.hello }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err says why the connection has ended; nil while it has not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Close ends the connection and waits until its goroutine has. Calls that wait get ErrClosed.
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	<-c.done
	return nil
}

// Tree asks for the tree of the program.
func (c *Conn) Tree(ctx context.Context) (Node, error) {
	m, err := c.ask(ctx, message{Want: wantTree})
	if err != nil {
		return Node{}, err
	}
	if m.Tree == nil {
		return Node{}, fmt.Errorf("%w: an answer without a tree", ErrProtocol)
	}
	return *m.Tree, nil
}

// Process asks for one process, by its PID in the tree.
func (c *Conn) Process(ctx context.Context, pid string) (ProcessInfo, error) {
	if _, err := pidNumber(pid); err != nil {
		return ProcessInfo{}, err
	}
	m, err := c.ask(ctx, message{Want: wantProcess, PID: pid})
	if err != nil {
		return ProcessInfo{}, err
	}
	if m.Process == nil {
		return ProcessInfo{}, fmt.Errorf("%w: an answer without a process", ErrProtocol)
	}
	return *m.Process, nil
}

func (c *Conn) ask(ctx context.Context, q message) (message, error) {
	if err := ctx.Err(); err != nil {
		return message{}, context.Cause(ctx)
	}
	id, answer, err := c.begin()
	if err != nil {
		return message{}, err
	}
	q.ID = id
	if err := c.write(ctx, q); err != nil {
		return message{}, err
	}
	select {
	case m := <-answer:
		return m.checked()
	case <-ctx.Done():
		c.mu.Lock()
		if c.open[id] != nil {
			c.open[id] = nil // it is still owed
		}
		c.mu.Unlock()
		return message{}, fmt.Errorf("%s of the program %s: %w", q.Want, c.hello.Program, context.Cause(ctx))
	case <-c.closing:
	}
	select {
	case m := <-answer: // came before the end
		return m.checked()
	default:
		return message{}, c.Err()
	}
}

func (m message) checked() (message, error) {
	if m.Error != "" {
		return message{}, &RemoteError{Text: cut(m.Error, maxWhy)}
	}
	return m, nil
}

func (c *Conn) begin() (uint64, chan message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return 0, nil, c.cause
	}
	if len(c.open) >= maxOpen {
		return 0, nil, ErrBusy
	}
	c.last++
	answer := make(chan message, 1)
	c.open[c.last] = answer
	return c.last, answer, nil
}

// write sends a question. One that was not sent is not owed an answer.
func (c *Conn) write(ctx context.Context, q message) error {
	line, err := encode(q)
	if err == nil {
		select {
		case c.turn <- struct{}{}:
			defer func() { <-c.turn }()
			_ = c.conn.SetWriteDeadline(time.Now().Add(writeTime))
			if _, err = c.conn.Write(line); err != nil { // possibly in the middle of the line
				c.fail(fmt.Errorf("%w: %w", ErrClosed, err))
				return c.Err()
			}
			return nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-c.closing:
			err = c.Err()
		}
	}
	c.mu.Lock()
	delete(c.open, q.ID)
	c.mu.Unlock()
	return err
}

// fail ends the connection; the first cause counts.
func (c *Conn) fail(cause error) {
	c.mu.Lock()
	first := c.cause == nil
	if first {
		c.cause = cause
		close(c.closing)
	}
	c.mu.Unlock()
	if first {
		c.conn.Close()
	}
}

// read is the goroutine of the connection.
func (c *Conn) read(in *lines) {
	defer close(c.done)
	budget := pace{tokens: paceBytes, at: time.Now()}
	for {
		line, err := in.next()
		if err == nil {
			if !c.rest(budget.spend(len(line)+lineCost, time.Now())) {
				return
			}
			err = c.take(line)
		} else if errors.Is(err, io.EOF) || !errors.Is(err, ErrProtocol) {
			err = fmt.Errorf("%w: %w", ErrClosed, err)
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

func (c *Conn) rest(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.closing:
		return false
	}
}

func (c *Conn) take(line []byte) error {
	m, err := decode(line)
	switch {
	case err != nil:
		return err
	case m.Crash != nil:
		c.onCrash(*m.Crash)
		return nil
	case m.ID == 0:
		return nil // of a newer version
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.ID > c.last {
		return fmt.Errorf("%w: an answer to question %d, which was not asked", ErrProtocol, m.ID)
	}
	answer := c.open[m.ID]
	delete(c.open, m.ID)
	if answer != nil {
		answer <- m
	}
	return nil
}

// pace is a token bucket for bytes.
type pace struct {
	tokens float64
	at     time.Time
}

// spend takes n, and says how long to wait until it was there.
func (p *pace) spend(n int, now time.Time) time.Duration {
	p.tokens = min(p.tokens+now.Sub(p.at).Seconds()*paceBytes, paceBytes) - float64(n)
	p.at = now
	if p.tokens >= 0 {
		return 0
	}
	return time.Duration(-p.tokens / paceBytes * float64(time.Second))
}
