package trees

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"semper/actor/observer"
)

// MaxConns is how many connections one member may have. A program needs one.
const MaxConns = 16

// A Member is one incarnation of something the keeper runs.
type Member struct {
	Name        string
	Incarnation int64
}

// A Peer is who connects, by the kernel's word.
type Peer struct{ PID, UID int }

// Options are what a Hub needs of its keeper. Its functions are called from goroutines of the Hub, and may not wait for it.
type Options struct {
	// Identify says whose process a peer is; false: nobody's who may speak here.
	Identify func(Peer) (Member, bool)
	// Crash is told of the crash of an actor. A slow one slows the program that reports.
	Crash func(Member, Peer, observer.Crash)
	Log   *slog.Logger
}

// A Program is one connection's answer.
type Program struct {
	Peer  Peer
	Hello observer.Hello
	Tree  observer.Node
	// From is when it said so, if not just now; the zero time: it has answered.
	From time.Time
}

// A Hub is the socket and every connection. All methods are safe for concurrent use.
type Hub struct {
	o        Options
	listener *net.UnixListener
	life     context.Context
	stop     context.CancelFunc
	tasks    sync.WaitGroup

	mu    sync.Mutex         // guards the following
	lines map[string][]*line // by member, in the order of connecting
}

// A line is one connection. It is listed while its goroutine runs.
type line struct {
	member Member
	peer   Peer
	hangUp context.CancelFunc
	ended  context.Context // its process has ended
	end    context.CancelFunc

	mu   sync.Mutex     // guards the following
	conn *observer.Conn // nil until the program has said who it is
	tree observer.Node
	at   time.Time // of tree; zero: none yet
}

// Listen opens the socket at path with the given mode and serves it. An old file at path is replaced, so the caller must
// hold whatever lock makes it the only one. Close it.
func Listen(path string, mode os.FileMode, o Options) (*Hub, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("tree socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("tree socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // by then it may be the next keeper's
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("tree socket: %w", err), l.Close())
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hub{o: o, listener: l, lines: map[string][]*line{}}
	h.life, h.stop = context.WithCancel(context.Background())
	h.tasks.Go(h.accept)
	return h, nil
}

// Close ends the socket and every connection, and returns when all that served them has ended.
func (h *Hub) Close() {
	h.stop()
	_ = h.listener.Close() // it was open
	h.tasks.Wait()
}

// lastWords is how long what an ended process had said is read.
const lastWords = time.Second

// End hangs up on an incarnation that has ended, whoever inherited its connections. It does not wait.
func (h *Hub) End(m Member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.lines[m.Name] {
		if l.member == m {
			l.end()
		}
	}
}

// acceptPause is how long a socket that cannot accept, for want of descriptors, is left alone.
const acceptPause = 100 * time.Millisecond

func (h *Hub) accept() {
	for {
		c, err := h.listener.AcceptUnix()
		switch {
		case err == nil:
			h.admit(c)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			h.o.Log.Error("a program's connection was not accepted", "error", err)
			pause := time.NewTimer(acceptPause)
			select {
			case <-pause.C:
			case <-h.life.Done():
				pause.Stop()
				return
			}
		}
	}
}

// admit has c served if it is a member's, and the member has not too many.
func (h *Hub) admit(c *net.UnixConn) {
	peer, err := peerOf(c)
	if err == nil {
		if m, ok := h.o.Identify(peer); ok {
			err = h.begin(m, peer, c)
		} else {
			err = errors.New("it is none of ours")
		}
	}
	if err != nil {
		h.o.Log.Debug("a connection for the tree was turned away", "pid", peer.PID, "uid", peer.UID, "error", err)
		_ = c.Close() // turned away
	}
}

// begin lists a connection and has it served.
func (h *Hub) begin(m Member, peer Peer, c *net.UnixConn) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.lines[m.Name]) >= MaxConns {
		return fmt.Errorf("%s has %d connections already", m.Name, MaxConns)
	}
	ctx, cancel := context.WithCancel(h.life)
	l := &line{member: m, peer: peer, hangUp: cancel}
	l.ended, l.end = context.WithCancel(ctx)
	h.lines[m.Name] = append(h.lines[m.Name], l)
	h.tasks.Go(func() {
		defer h.drop(l)
		h.serve(ctx, l, c)
	})
	return nil
}

func (h *Hub) drop(l *line) {
	l.end()
	l.hangUp()
	h.mu.Lock()
	defer h.mu.Unlock()
	rest := slices.DeleteFunc(h.lines[l.member.Name], func(o *line) bool { return o == l })
	if len(rest) == 0 {
		delete(h.lines, l.member.Name)
		return
	}
	h.lines[l.member.Name] = rest
}

// serve is the goroutine of one connection, which ends with the other side or with ctx.
func (h *Hub) serve(ctx context.Context, l *line, c net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	conn, err := observer.Accept(c, func(r observer.Crash) {
		if h.o.Crash != nil {
			h.o.Crash(l.member, l.peer, r)
		}
	})
	if err != nil {
		h.o.Log.Debug("a program does not show its tree", "what", l.member.Name, "pid", l.peer.PID, "error", err)
		return
	}
	l.mu.Lock()
	l.conn = conn
	l.mu.Unlock()
	select {
	case <-l.ended.Done():
		limit := time.NewTimer(lastWords)
		defer limit.Stop()
		select {
		case <-conn.Done():
		case <-ctx.Done():
		case <-limit.C:
		}
	case <-conn.Done():
	}
	_ = conn.Close() // waits for its goroutine
	if err := conn.Err(); errors.Is(err, observer.ErrProtocol) {
		h.o.Log.Warn("a program's connection for the tree was ended", "what", l.member.Name, "pid", l.peer.PID, "error", err)
	}
}

// Ask asks every program at once and returns, by incarnation and in the order of connecting, what they say until ctx
// ends, or said when they last did.
func (h *Hub) Ask(ctx context.Context) map[Member][]Program {
	h.mu.Lock()
	var all []*line
	for _, of := range h.lines {
		all = append(all, of...)
	}
	h.mu.Unlock()
	said := make([]Program, len(all))
	var wg sync.WaitGroup
	for i, l := range all {
		wg.Go(func() { said[i] = l.ask(ctx) })
	}
	wg.Wait()
	programs := map[Member][]Program{}
	for i, l := range all {
		if said[i].Tree.Kind != "" { // else there is no answer yet
			programs[l.member] = append(programs[l.member], said[i])
		}
	}
	return programs
}

// ask is the program's answer, or its last one.
func (l *line) ask(ctx context.Context) Program {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn == nil {
		return Program{}
	}
	tree, err := conn.Tree(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	p := Program{Peer: l.peer, Hello: conn.Hello()}
	if err == nil {
		l.tree, l.at = tree, time.Now()
	} else {
		p.From = l.at
	}
	p.Tree = l.tree
	return p
}

// peerOf is who is at the other end of c.
func peerOf(c *net.UnixConn) (Peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, cerr); err != nil {
		return Peer{}, err
	}
	return Peer{PID: int(cred.Pid), UID: int(cred.Uid)}, nil
}
