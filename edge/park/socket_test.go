package park

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// woken is an owner that tells of each time it is woken.
type woken chan struct{}

func (w woken) Wake() { w <- struct{}{} }

func lot(t *testing.T) *Lot {
	t.Helper()
	l, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
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

// taken is a socket with its owner and its peer.
func taken(t *testing.T, l *Lot) (*Socket, woken, *net.TCPConn) {
	t.Helper()
	near, far := pair(t)
	s, w := new(Socket), make(woken, 1)
	if !l.Take(s, near, w) {
		t.Fatal("not taken")
	}
	if err := near.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("the connection lives on: %v", err)
	}
	t.Cleanup(func() { s.Close() }) //nolint:errcheck // a test's
	return s, w, far
}

func TestASocketTellsWhatComes(t *testing.T) {
	t.Parallel()
	s, w, far := taken(t, lot(t))
	var b [16]byte
	for _, word := range []string{"one", "two", ""} {
		if n, err := s.Read(b[:]); !errors.Is(err, ErrAgain) {
			t.Fatalf("%d bytes came from nowhere, %v", n, err)
		}
		if !s.Await() {
			t.Fatal("it cannot be waited for")
		}
		if word == "" {
			far.CloseWrite() //nolint:errcheck // read below
		} else {
			far.Write([]byte(word)) //nolint:errcheck // read below
		}
		<-w
		n, err := s.Read(b[:])
		if word == "" && (n != 0 || !errors.Is(err, io.EOF)) || word != "" && (string(b[:n]) != word || err != nil) {
			t.Fatalf("read %q and %v, want %q", b[:n], err, word)
		}
	}
	if _, err := s.Write([]byte("half closed")); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(far); err != nil || string(got) != "half closed" {
		t.Errorf("the peer got %q, %v", got, err)
	}
}

// TestASocketWaitsForAPeerThatDoesNotRead while its owner waits for what that may say.
func TestASocketWaitsForAPeerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	s, w, far := taken(t, lot(t))
	sent := bytes.Repeat([]byte("more than any two sockets hold. "), 1<<19)
	if !s.Await() {
		t.Fatal("it cannot be waited for")
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Write(sent)
		done <- errors.Join(err, s.CloseWrite())
	}()
	far.Write([]byte("wait")) //nolint:errcheck // read below
	<-w
	var b [16]byte
	if n, err := s.Read(b[:]); err != nil || string(b[:n]) != "wait" {
		t.Fatalf("read %q, %v", b[:n], err)
	}
	got, err := io.ReadAll(far)
	if err := errors.Join(err, <-done); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes of %d came, %v", len(got), len(sent), err)
	}
}

func TestAWriteEndsAtItsDeadlineAndWithItsSocket(t *testing.T) {
	t.Parallel()
	l := lot(t)
	full := make([]byte, 16<<20)
	s, _, _ := taken(t, l)
	s.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)) //nolint:errcheck // it has no error
	if n, err := s.Write(full); !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == len(full) {
		t.Errorf("%d bytes, %v", n, err)
	}
	s.SetWriteDeadline(time.Time{}) //nolint:errcheck // it has no error
	done := make(chan error, 1)
	go func() {
		_, err := s.Write(full)
		done <- err
	}()
	s.Close() //nolint:errcheck // checked by what follows
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write on what is closed ended with %v", err)
	}
	if err := s.Close(); !errors.Is(err, net.ErrClosed) || s.Await() {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := s.Read(full); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read on what is closed ended with %v", err)
	}
}

func TestWhoWaitsIsWoken(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Lot, *Socket){
		"by name":  func(_ *Lot, s *Socket) { s.Wake() },
		"by close": func(_ *Lot, s *Socket) { s.Close() }, //nolint:errcheck // a test's
		"by the lot's end": func(l *Lot, s *Socket) {
			l.Close()
			if s.Await() {
				t.Error("it waits in a lot that is closed")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := lot(t)
			s, w, _ := taken(t, l)
			if !s.Await() {
				t.Fatal("it cannot be waited for")
			}
			end(l, s)
			<-w
		})
	}
}

func TestWhatIsNoSocketIsLeftAlone(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close() //nolint:errcheck // a test's
	defer b.Close() //nolint:errcheck // a test's
	var s Socket
	if lot(t).Take(&s, a, make(woken)) {
		t.Error("a pipe was taken")
	}
	if err := a.SetDeadline(time.Time{}); err != nil {
		t.Errorf("and is not what it was: %v", err)
	}
	near, far := pair(t)
	if (*Lot)(nil).Take(&s, near, make(woken)) {
		t.Error("no lot took a socket")
	}
	closed := lot(t)
	closed.Close()
	if closed.Take(&s, near, make(woken)) {
		t.Error("a closed lot took a socket")
	}
	near.Write([]byte("x")) //nolint:errcheck // read below
	if n, err := far.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("what nobody took is not what it was: %v", err)
	}
}

// TestSocketsComeAndGo: numbers of descriptors and places are used again at once, and nobody gets what is another's.
func TestSocketsComeAndGo(t *testing.T) {
	t.Parallel()
	l := lot(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for k := range 50 {
				near, far := pair(t)
				s, w := new(Socket), make(woken, 1)
				if !l.Take(s, near, w) || !s.Await() {
					t.Error("not taken")
					return
				}
				want, b := byte(i*50+k), make([]byte, 2)
				far.Write([]byte{want}) //nolint:errcheck // read below
				<-w
				if n, err := s.Read(b); n != 1 || b[0] != want {
					t.Errorf("read %d bytes, %v, %v", n, b[:n], err)
				}
				if k%2 == 0 {
					s.Await()
				}
				far.Close() //nolint:errcheck // a test's
				s.Close()   //nolint:errcheck // a test's
			}
		})
	}
	all.Wait()
}
