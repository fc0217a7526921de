package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// sockets counts what became of WebSockets and their messages.
type sockets struct {
	messages   atomic.Uint64 // answered
	handedOver atomic.Uint64 // closed with 1001 or 1012 between two messages
	resent     atomic.Uint64 // closed so while a message was on its way; sent again and answered elsewhere
	broken     atomic.Uint64 // ended without a close frame, nothing in hand
	unanswered atomic.Uint64 // ended without a close frame, with a message in hand
	unopened   atomic.Uint64 // handshakes that failed
}

// socket keeps one WebSocket open, over hand-overs, and echoes on it.
func (g *Generator) socket(ctx context.Context, id int) {
	s := &socketLoop{g: g, id: id}
	for !g.over(ctx) {
		s.opened = time.Now()
		c, err := s.open(ctx)
		if err != nil {
			if ctx.Err() == nil {
				g.sockets.unopened.Add(1)
				g.account.failed(connOutcome(err, Reset), "open websocket", err)
			}
			g.pause(ctx, retryPause)
			continue
		}
		s.talk(ctx, c)
		_ = c.CloseNow()
	}
}

// socketLoop is the state of one WebSocket client over its connections.
type socketLoop struct {
	g       *Generator
	id      int
	number  int
	opened  time.Time // when the present connection was asked for: it may stay on the release of that time
	pending string    // sent, not answered yet; survives a polite close
}

func (s *socketLoop) open(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.g.cfg.Timeout)
	defer cancel()
	c, res, err := websocket.Dial(ctx, "ws://"+s.g.cfg.Address+s.g.cfg.SocketURL, &websocket.DialOptions{Host: s.g.cfg.Host})
	if err != nil && res != nil {
		return nil, fmt.Errorf("status %d: %w", res.StatusCode, err)
	}
	return c, err
}

// talk sends and awaits echoes until the connection or the run ends.
func (s *socketLoop) talk(ctx context.Context, c *websocket.Conn) {
	again := s.pending != ""
	incoming := make(chan received)
	reading, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); read(reading, c, incoming) }()
	defer func() { stop(); <-done }()
	for {
		if s.pending == "" {
			if !s.idle(ctx, incoming) {
				return
			}
			s.number++
			s.pending = fmt.Sprintf("%d-%d", s.id, s.number)
		}
		// When the write fails the reader knows better why: a close frame may be waiting to be read.
		_ = c.Write(ctx, websocket.MessageText, []byte(s.pending))
		m := s.await(ctx, incoming)
		if m.err != nil {
			s.ended(ctx, m.err)
			return
		}
		s.answered(m.text, again)
		again = false
	}
}

// received is a message, or how the connection ended.
type received struct {
	text string
	err  error
}

// read passes on messages until the connection ends; the last one says how.
func read(ctx context.Context, c *websocket.Conn, to chan<- received) {
	for {
		_, b, err := c.Read(ctx)
		select {
		case to <- received{string(b), err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// idle waits for the time of the next message. It is false when the connection or the run ended.
func (s *socketLoop) idle(ctx context.Context, incoming <-chan received) bool {
	t := time.NewTimer(s.g.cfg.SocketGap)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case m := <-incoming:
		if m.err == nil {
			m.err = errors.New("a message nobody asked for: " + m.text)
		}
		s.ended(ctx, m.err)
	case <-s.g.stopped:
	case <-ctx.Done():
	}
	return false
}

func (s *socketLoop) await(ctx context.Context, incoming <-chan received) received {
	t := time.NewTimer(s.g.cfg.Timeout)
	defer t.Stop()
	select {
	case m := <-incoming:
		return m
	case <-t.C:
		return received{err: context.DeadlineExceeded}
	case <-ctx.Done():
		return received{err: ctx.Err()}
	}
}

// answered judges an echo: "RELEASE MESSAGE".
func (s *socketLoop) answered(text string, again bool) {
	release, echo, _ := strings.Cut(text, " ")
	pending := s.pending
	s.pending = ""
	if echo != pending {
		s.g.account.failed(Mixed, "websocket", fmt.Errorf("sent %q, got %q", pending, text))
		return
	}
	s.g.sockets.messages.Add(1)
	if again {
		s.g.sockets.resent.Add(1)
	}
	s.g.account.served(release, s.opened, "websocket")
}

// ended counts the end of a connection.
func (s *socketLoop) ended(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	switch code := websocket.CloseStatus(err); {
	case code == websocket.StatusGoingAway || code == websocket.StatusServiceRestart:
		if s.pending == "" {
			s.g.sockets.handedOver.Add(1)
		}
	case s.pending == "":
		s.g.sockets.broken.Add(1)
	default:
		s.g.sockets.unanswered.Add(1)
		s.g.account.failed(Unanswered, "websocket", err)
		s.pending = ""
	}
}
