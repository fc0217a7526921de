package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Env is the environment variable that names inherited sockets.
const Env = "SEMPER_LISTENERS"

// maxSockets is how many sockets one hand-back carries at most (the kernel allows 253).
const maxSockets = 64

// A Socket is a listening socket and what it is for: "http", "https", "api" or "apitcp".
// It is a bare descriptor, not an [os.File], for two reasons: a file would be registered with the
// runtime's poller and wake its holder at each new connection, and File.Fd may switch the socket to
// blocking for every process that shares it. The zero Socket is invalid.
type Socket struct {
	Name string
	fd   int
}

// NewSocket is a Socket that owns the open descriptor fd.
func NewSocket(name string, fd int) Socket { return Socket{Name: name, fd: fd} }

// FromListener is a Socket on a duplicate of l's descriptor; l stays the caller's to close.
func FromListener(name string, l net.Listener) (Socket, error) {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return Socket{}, fmt.Errorf("listener %s: %T has no descriptor", name, l)
	}
	return FromConn(name, sc)
}

// FromConn is [FromListener] for any other socket that has to change hands.
func FromConn(name string, c syscall.Conn) (Socket, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Socket{}, fmt.Errorf("listener %s: %w", name, err)
	}
	s := Socket{Name: name}
	cerr := raw.Control(func(fd uintptr) { s.fd, err = dup(int(fd)) })
	if err = errors.Join(err, cerr); err != nil {
		return Socket{}, fmt.Errorf("listener %s: %w", name, err)
	}
	return s, nil
}

// FD is the descriptor; s keeps it.
func (s Socket) FD() int { return s.fd }

// File is a duplicate of s for a child to inherit; the caller closes it after the start.
func (s Socket) File() (*os.File, error) {
	fd, err := dup(s.fd)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", s.Name, err)
	}
	return os.NewFile(uintptr(fd), s.Name), nil
}

// Listen is a listener on a duplicate of s: closing it leaves the socket open for s and for every
// other holder, and removes no socket file.
func (s Socket) Listen() (net.Listener, error) {
	f, err := s.File()
	if err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = errors.Join(cerr, l.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", s.Name, err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return l, nil
}

// Addr is the local address of s: "127.0.0.1:8080", "[::]:8080", or the path of a unix socket; ""
// when s neither listens nor takes packets.
func (s Socket) Addr() string {
	f, err := s.File()
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // a duplicate
	if l, err := net.FileListener(f); err == nil {
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		defer l.Close() //nolint:errcheck // a duplicate
		return l.Addr().String()
	}
	c, err := net.FilePacketConn(f)
	if err != nil {
		return ""
	}
	defer c.Close() //nolint:errcheck // a duplicate
	return c.LocalAddr().String()
}

// Close closes this process's copies of sockets; other holders keep theirs.
func Close(sockets []Socket) {
	for _, s := range sockets {
		_ = unix.Close(s.fd) // a listening socket has nothing to flush
	}
}

func dup(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) }

// Inherited are the sockets this process was given, in the order named; none where SEMPER_LISTENERS
// is not set. It marks them close-on-exec and removes the variable from the environment, so nothing
// this process starts holds them by accident. Call it once, early.
func Inherited() ([]Socket, error) {
	v := os.Getenv(Env)
	if v == "" {
		return nil, nil
	}
	if err := os.Unsetenv(Env); err != nil {
		return nil, err
	}
	sockets, err := parseEnv(v)
	if err != nil {
		return nil, err
	}
	for _, s := range sockets {
		syscall.CloseOnExec(s.fd)
	}
	return sockets, nil
}

// Listeners is [Inherited] as listeners by name, together with the sockets for [Serve].
func Listeners() (map[string][]net.Listener, []Socket, error) {
	sockets, err := Inherited()
	if err != nil {
		return nil, nil, err
	}
	byName, err := Listen(sockets)
	return byName, sockets, err
}

// Listen is a listener on each of sockets, by name and in their order.
func Listen(sockets []Socket) (map[string][]net.Listener, error) {
	byName := map[string][]net.Listener{}
	for _, s := range sockets {
		l, err := s.Listen()
		if err != nil {
			for _, before := range byName {
				for _, l := range before {
					l.Close() //nolint:errcheck // nobody has accepted from it
				}
			}
			return nil, err
		}
		byName[s.Name] = append(byName[s.Name], l)
	}
	return byName, nil
}

// Environ is the assignment that names sockets for a child that gets them as descriptors from first
// on, in order (3 for [os/exec.Cmd.ExtraFiles]).
func Environ(sockets []Socket, first int) string {
	names := make([]string, len(sockets))
	for i, s := range sockets {
		names[i] = s.Name + "=" + strconv.Itoa(first+i)
	}
	return Env + "=" + strings.Join(names, ",")
}

func parseEnv(v string) ([]Socket, error) {
	var sockets []Socket
	for item := range strings.SplitSeq(v, ",") {
		name, number, _ := strings.Cut(item, "=")
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 3 || name == "" {
			return nil, fmt.Errorf("%s: %q is not name=descriptor", Env, item)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			return nil, fmt.Errorf("%s: descriptor %d (%s) is not open: %w", Env, fd, name, err)
		}
		sockets = append(sockets, Socket{Name: name, fd: fd})
	}
	return sockets, nil
}

// Serve offers copies of sockets to processes of the same user (or root) on a unix socket at path,
// until ctx ends; then it removes path and returns nil. An old file at path is replaced.
func Serve(ctx context.Context, path string, sockets []Socket) error {
	if len(sockets) > maxSockets {
		return fmt.Errorf("hand back listeners: %d are more than %d", len(sockets), maxSockets)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("hand back listeners: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("hand back listeners: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("hand back listeners: %w", err), l.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return errors.Join(fmt.Errorf("hand back listeners: %w", err), l.Close())
		}
		// One at a time: the only caller is the keeper, and a copy takes microseconds.
		_ = give(conn, sockets)
		_ = conn.Close()
	}
}

// give sends the names as JSON with the descriptors beside them.
func give(conn *net.UnixConn, sockets []Socket) error {
	if uid, err := PeerUID(conn); err != nil || uid != 0 && uid != os.Getuid() {
		return errors.New("peer is another user")
	}
	names := make([]string, len(sockets))
	fds := make([]int, len(sockets))
	for i, s := range sockets {
		names[i], fds[i] = s.Name, s.fd
	}
	body, err := json.Marshal(names)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	_, _, err = conn.WriteMsgUnix(body, unix.UnixRights(fds...), nil)
	return err
}

// Fetch takes copies of the sockets offered at path. The caller owns them. It does not retry.
func Fetch(ctx context.Context, path string) ([]Socket, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("fetch listeners: %w", err)
	}
	defer c.Close() //nolint:errcheck // nothing was written
	conn := c.(*net.UnixConn)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	body, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*maxSockets))
	n, oobn, _, _, err := conn.ReadMsgUnix(body, oob)
	if err != nil {
		return nil, fmt.Errorf("fetch listeners from %s: %w", path, err)
	}
	return received(body[:n], oob[:oobn])
}

func received(body, oob []byte) ([]Socket, error) {
	var names []string
	var fds []int
	controls, err := unix.ParseSocketControlMessage(oob)
	for i := range controls {
		if got, rerr := unix.ParseUnixRights(&controls[i]); rerr == nil {
			fds = append(fds, got...)
		}
	}
	if err == nil {
		err = json.Unmarshal(body, &names)
	}
	if err == nil && len(names) != len(fds) {
		err = fmt.Errorf("%d names for %d descriptors", len(names), len(fds))
	}
	sockets := make([]Socket, 0, len(fds))
	for i, fd := range fds {
		syscall.CloseOnExec(fd)
		name := ""
		if i < len(names) {
			name = names[i]
		}
		sockets = append(sockets, Socket{Name: name, fd: fd})
	}
	if err != nil {
		Close(sockets)
		return nil, fmt.Errorf("fetch listeners: %w", err)
	}
	return sockets, nil
}

// PeerUID is the user at the other end of a unix connection, by the kernel's word.
func PeerUID(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, cerr); err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
