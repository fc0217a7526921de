package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// SocketEnv is the environment variable that holds the path of the socket to tell.
const SocketEnv = "NOTIFY_SOCKET"

// The messages of the protocol that semper acts on.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// maxMessage is the largest datagram read; a longer one is cut. systemd uses the same bound.
const maxMessage = 4096

// Send tells whoever NOTIFY_SOCKET names the given assignments, one per argument ("READY=1",
// "STATUS=warming up"). It reports nil without a word where NOTIFY_SOCKET is not set. It does not
// block for longer than the receiver's queue is full.
func Send(state ...string) error {
	path := os.Getenv(SocketEnv)
	if path == "" || len(state) == 0 {
		return nil
	}
	return SendTo(path, state...)
}

// SendTo is [Send] to the socket at path; a leading "@" means the abstract namespace.
func SendTo(path string, state ...string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	_, err = conn.Write([]byte(strings.Join(state, "\n")))
	if cerr := conn.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// Await is [Send], and returns once the receiver has handled it, or ctx ends: whatever the receiver
// then tells others about this process, it knows of the state sent. It is for a state others rely on
// before the next step is taken.
func Await(ctx context.Context, state ...string) error {
	path := os.Getenv(SocketEnv)
	if path == "" || len(state) == 0 {
		return nil
	}
	if err := SendTo(path, state...); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	defer r.Close() //nolint:errcheck // nothing is ever written to it
	err = sendBarrier(path, w)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	// The other end is closed when the receiver asks for the message after the barrier, or dies.
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("notify: not handled: %w", cmp.Or(context.Cause(ctx), err))
	}
	return nil
}

// sendBarrier sends w behind everything sent before.
func sendBarrier(path string, w *os.File) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	rights := unix.UnixRights(int(w.Fd()))
	raw, err := conn.SyscallConn()
	if err == nil {
		// UnixConn.WriteMsgUnix does not take connected datagram sockets.
		werr := raw.Write(func(fd uintptr) bool {
			err = unix.Sendmsg(int(fd), []byte("BARRIER=1"), rights, nil, unix.MSG_NOSIGNAL)
			return !errors.Is(err, unix.EAGAIN)
		})
		err = cmp.Or(err, werr)
	}
	return errors.Join(err, conn.Close())
}

// A Message is one datagram and who sent it, by the kernel's word.
type Message struct {
	PID, UID int
	// Values are the assignments: "READY" → "1". The last one of a name wins.
	Values map[string]string
}

// A Listener receives messages. One goroutine at a time may call Receive; Close may come from any.
type Listener struct {
	conn  *net.UnixConn
	buf   []byte
	oob   []byte
	close sync.Once
	// held are descriptors that came with the last message.
	held []int
}

// Listen binds the socket at path with the given mode. An old file at path is replaced, so the
// caller must hold whatever lock makes it the only listener.
func Listen(path string, mode os.FileMode) (*Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("notify socket: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("notify socket: %w", err), conn.Close())
	}
	return wrap(conn)
}

// FromFile is a Listener on an inherited socket. The file is duplicated; the caller closes its own.
func FromFile(f *os.File) (*Listener, error) {
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, fmt.Errorf("inherited notify socket: %w", err)
	}
	conn, ok := pc.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("inherited notify socket: not a unix socket"), pc.Close())
	}
	return wrap(conn)
}

func wrap(conn *net.UnixConn) (*Listener, error) {
	raw, err := conn.SyscallConn()
	if err == nil {
		cerr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		})
		err = errors.Join(err, cerr)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("notify socket credentials: %w", err), conn.Close())
	}
	return &Listener{conn: conn, buf: make([]byte, maxMessage), oob: make([]byte, 1024)}, nil
}

// SyscallConn is the socket, to be inherited by the process that goes on with it.
func (l *Listener) SyscallConn() (syscall.RawConn, error) { return l.conn.SyscallConn() }

// Receive waits for the next message. It returns an error satisfying errors.Is(err, net.ErrClosed)
// after Close. Calling it says that the previous message has been handled.
func (l *Listener) Receive() (Message, error) {
	l.release()
	for {
		n, oobn, _, _, err := l.conn.ReadMsgUnix(l.buf, l.oob)
		if err != nil {
			return Message{}, err
		}
		m, fds, ok := parse(l.buf[:n], l.oob[:oobn])
		l.held = fds
		if ok {
			return m, nil
		}
		l.release()
	}
}

func (l *Listener) release() {
	for _, fd := range l.held {
		_ = unix.Close(fd) // a descriptor nobody reads or writes has nothing to lose
	}
	l.held = nil
}

// Pause makes Receive return [os.ErrDeadlineExceeded], without taking a message, until Continue.
func (l *Listener) Pause() error { return l.conn.SetReadDeadline(time.Unix(1, 0)) }

// Continue undoes Pause.
func (l *Listener) Continue() error { return l.conn.SetReadDeadline(time.Time{}) }

// Close ends Receive. The socket's file stays: its owner may have handed the socket on.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.close.Do(func() { err = l.conn.Close() })
	return err
}

// parse reads one datagram. Without credentials it is nobody's word and not ok.
func parse(body, oob []byte) (Message, []int, bool) {
	var fds []int
	m := Message{Values: map[string]string{}}
	controls, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return m, nil, false
	}
	for i := range controls {
		if cred, err := unix.ParseUnixCredentials(&controls[i]); err == nil {
			m.PID, m.UID = int(cred.Pid), int(cred.Uid)
		} else if got, err := unix.ParseUnixRights(&controls[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	for line := range strings.SplitSeq(string(body), "\n") {
		if name, value, ok := strings.Cut(line, "="); ok && name != "" {
			m.Values[name] = strings.TrimRight(value, "\r")
		}
	}
	return m, fds, m.PID > 0
}
