package tunnel

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"semper/edge/ledger"
)

// counted is a connection that somebody counts, who has read some of it.
type counted struct {
	net.Conn
	in    *bufio.Reader
	count *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) { return c.in.Read(p) }
func (c *counted) NetConn() net.Conn          { return c.Conn }
func (c *counted) Yield() io.Closer           { return place{c.count} }

type place struct{ count *atomic.Int64 }

func (p place) Close() error {
	p.count.Add(-1)
	return nil
}

// pair is both ends of a new connection.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test's
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(); a.Close() })      //nolint:errcheck // a test's
	b.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // a test's
	return a.(*net.TCPConn), b.(*net.TCPConn)       //nolint:errcheck,forcetypeassert // as asked for
}

// sockets is a tunnel over sockets, with its two peers.
type sockets struct {
	*Tunnel
	ends            chan ledger.End
	client, backend *net.TCPConn // the peers
	given           [2]*net.TCPConn
	count           atomic.Int64 // of connections that somebody counts
}

func newSockets(t *testing.T, o Options) *sockets {
	t.Helper()
	k, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	s := &sockets{}
	s.given[0], s.client = pair(t)
	s.given[1], s.backend = pair(t)
	s.count.Store(2)
	o.Client = &counted{s.given[0], bufio.NewReader(io.MultiReader(strings.NewReader("second "), s.given[0])), &s.count}
	o.Backend = &counted{s.given[1], bufio.NewReader(io.MultiReader(strings.NewReader("hello "), s.given[1])), &s.count}
	s.Tunnel, s.ends = k.New(o), make(chan ledger.End, 1)
	s.Start(told{s.Tunnel, s.ends}, []byte("first "))
	return s
}

// TestOfSocketsOnlyTheSocketsAreKept, and what was read of them already comes first.
func TestOfSocketsOnlyTheSocketsAreKept(t *testing.T) {
	t.Parallel()
	s := newSockets(t, Options{})
	for _, c := range s.given {
		if err := c.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a connection lives on beside its socket: %v", err)
		}
	}
	for range 3 { // it is woken again and again
		s.client.Write([]byte("third ")) //nolint:errcheck // read below
		s.backend.Write([]byte("you "))  //nolint:errcheck // read below
	}
	s.client.CloseWrite() //nolint:errcheck // read below
	if got, err := io.ReadAll(s.backend); err != nil || string(got) != "first second third third third " {
		t.Errorf("the backend got %q, %v", got, err)
	}
	if n := s.count.Load(); n != 2 {
		t.Errorf("%d connections are counted while a half is open", n)
	}
	s.backend.Write([]byte("too")) //nolint:errcheck // read below
	s.backend.Close()              //nolint:errcheck // read below
	if got, err := io.ReadAll(s.client); err != nil || string(got) != "hello you you you too" {
		t.Errorf("the client got %q, %v", got, err)
	}
	if end := <-s.ends; end != ledger.Served {
		t.Errorf("it ended as %v", end)
	}
	if n := s.count.Load(); n != 0 {
		t.Errorf("%d connections are counted at the end", n)
	}
}

// TestWhoSendsTooMuchIsHeldUp by whoever takes nothing, and an end comes through all the same.
func TestWhoSendsTooMuchIsHeldUp(t *testing.T) {
	t.Parallel()
	s := newSockets(t, Options{})
	s.client.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)) //nolint:errcheck // a test's
	const lot = 64 << 20
	n, err := s.client.Write(make([]byte, lot))
	if err == nil || n == lot {
		t.Fatalf("%d bytes were taken by nobody, %v", n, err)
	}
	s.Plan(Farewell{time.Now(), time.Now()})
	if end := <-s.ends; end != ledger.Cut {
		t.Errorf("it ended as %v", end)
	}
	if n := s.count.Load(); n != 0 {
		t.Errorf("%d connections are counted at the end", n)
	}
}

// TestATunnelOfSocketsThatNobodyUsesEnds though nothing runs that could notice.
func TestATunnelOfSocketsThatNobodyUsesEnds(t *testing.T) {
	t.Parallel()
	s := newSockets(t, Options{Patience: 50 * time.Millisecond})
	if end := <-s.ends; end != ledger.Cut {
		t.Errorf("it ended as %v", end)
	}
	if got, err := io.ReadAll(s.client); err != nil || string(got) != "hello " {
		t.Errorf("the client got %q, %v", got, err)
	}
}

// TestASocketAndWhatIsNone: TLS, say, to the client, and nothing but a socket to the backend.
func TestASocketAndWhatIsNone(t *testing.T) {
	t.Parallel()
	k, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	client, wrapped := net.Pipe()
	given, backend := pair(t)
	client.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // a test's
	_, ends := begin(k, Options{Client: wrapped, Backend: given})
	var b [4]byte
	for range 3 {
		if _, err := client.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(backend, b[:]); err != nil || string(b[:]) != "ping" {
			t.Fatalf("the backend got %q, %v", b, err)
		}
		backend.Write([]byte("pong")) //nolint:errcheck // read below
		if _, err := io.ReadFull(client, b[:]); err != nil || string(b[:]) != "pong" {
			t.Fatalf("the client got %q, %v", b, err)
		}
	}
	client.Close() //nolint:errcheck // a test's
	if _, err := backend.Read(b[:]); !errors.Is(err, io.EOF) {
		t.Errorf("the backend was told %v", err)
	}
	backend.Close() //nolint:errcheck // a test's
	if end := <-ends; end != ledger.Served {
		t.Errorf("it ended as %v", end)
	}
}
