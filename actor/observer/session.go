package observer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"semper/actor"
	"semper/supervise"
)

// session is one connection, from its begin to its end. Why it ended does not matter: the next one is tried.
func (u *Uplink) session(ctx context.Context) {
	dial := net.Dialer{Timeout: dialTime}
	conn, err := dial.DialContext(ctx, "unix", u.socket)
	if err != nil {
		return
	}
	s := &session{Uplink: u, conn: conn, slots: make(chan struct{}, slots)}
	s.run(ctx)
}

type session struct {
	*Uplink
	conn  net.Conn
	slots chan struct{}
	works sync.WaitGroup

	mu sync.Mutex // a line is being written

	limit sync.Mutex // guards the deadline of conn
	bye   bool       // the deadline is the last one
}

func (s *session) run(ctx context.Context) {
	here, end := context.WithCancel(ctx)
	defer s.works.Wait()
	defer s.conn.Close()
	defer end()
	if s.send(message{V: Version, Hello: &Hello{PID: os.Getpid(), Program: s.program}}) != nil {
		return
	}
	s.works.Go(func() {
		<-here.Done()
		s.goodbye()
	})
	s.works.Go(func() {
		s.report(here)
		if ctx.Err() != nil { // the program ends
			s.flush()
		}
		s.conn.Close() // which ends read
	})
	s.read(here, end)
	if ctx.Err() != nil {
		end()
		s.works.Wait()
	}
}

// read takes questions until the connection ends.
func (s *session) read(ctx context.Context, end func()) {
	in := newLines(s.conn)
	for {
		line, err := in.next()
		if err != nil {
			return
		}
		q, err := decode(line)
		if err != nil {
			return
		}
		if q.Want == "" || q.ID == 0 {
			continue // of a newer version
		}
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		s.works.Go(func() {
			defer func() { <-s.slots }()
			if s.send(s.answer(ctx, q)) != nil {
				end()
			}
		})
	}
}

// answer never panics: what it shows is made by the program's own String and Redact methods.
func (s *session) answer(ctx context.Context, q message) (a message) {
	defer func() {
		if v := recover(); v != nil {
			a = message{ID: q.ID, Error: cut(fmt.Sprintf("panic while it was looked at: %v", v), maxWhy)}
		}
	}()
	root := s.tree()
	switch {
	case q.Want != wantTree && q.Want != wantProcess:
		return message{ID: q.ID, Error: "unknown want"}
	case root == nil:
		return message{ID: q.ID, Error: "the tree is being started: ask again later"}
	case q.Want == wantProcess:
		p, err := s.process(ctx, root, q.PID)
		if err != nil {
			return message{ID: q.ID, Error: cut(err.Error(), maxWhy)}
		}
		return message{ID: q.ID, Process: &p}
	}
	n, size := tree(root, treeLimits)
	s.size.Store(int64(size))
	return message{ID: q.ID, Tree: &n}
}

func (s *session) process(ctx context.Context, root supervise.Child, pid string) (ProcessInfo, error) {
	number, err := pidNumber(pid)
	if err != nil {
		return ProcessInfo{}, err
	}
	id, path, _ := find(root, maxSearch, func(id actor.PID) bool { return id.Number() == number })
	if path == "" {
		return ProcessInfo{}, fmt.Errorf("no process %s in the tree: it has ended, or no supervisor has it", pidOf(number))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, errors.New("no answer within 2s"))
	defer cancel()
	p, err := Process(ctx, id)
	p.Path = cut(path, 2*maxText)
	return p, err
}

// report sends crash reports until ctx ends, or one cannot be sent; that one is kept.
func (s *session) report(ctx context.Context) {
	for {
		if s.unsent == nil {
			select {
			case c := <-s.queue:
				s.unsent = &c
			case <-ctx.Done():
				return
			}
		}
		if s.tell() != nil {
			return
		}
	}
}

// flush sends what there is.
func (s *session) flush() {
	for {
		if s.unsent == nil {
			select {
			case c := <-s.queue:
				s.unsent = &c
			default:
				return
			}
		}
		if s.tell() != nil {
			return
		}
	}
}

// tell sends the one crash report, and what is known of those before it that are lost.
func (s *session) tell() error {
	s.unsent.Dropped += s.dropped.Swap(0)
	err := s.send(message{Crash: s.unsent})
	if err == nil {
		s.unsent = nil
	}
	return err
}

// send writes one line. One that cannot be written as it is says so instead.
func (s *session) send(m message) error {
	line, err := fit(m)
	if err != nil {
		if line, err = fit(message{ID: m.ID, Error: cut(err.Error(), maxWhy)}); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit.Lock()
	if !s.bye {
		err = s.conn.SetWriteDeadline(time.Now().Add(sendTime))
	}
	s.limit.Unlock()
	if err == nil {
		_, err = s.conn.Write(line)
	}
	return err
}

// goodbye gives what is being read and written a last moment.
func (s *session) goodbye() {
	s.limit.Lock()
	defer s.limit.Unlock()
	s.bye = true
	_ = s.conn.SetDeadline(time.Now().Add(goodbyeTime))
}
