package generate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// Held are connections that do nothing. Close ends them.
type Held struct {
	mu  sync.Mutex // guards all
	all []io.Closer
}

// Close ends all.
func (h *Held) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.all {
		c.Close() //nolint:errcheck // nobody is left to be told
	}
	h.all = nil
}

// openers open connections at the same time.
const openers = 16

// hold opens n by open. What is open is closed when one fails.
func hold(ctx context.Context, n int, open func(context.Context) (io.Closer, error)) (*Held, error) {
	ctx, cancel := context.WithCancelCause(ctx) // of several reasons the first: the others follow from it
	defer cancel(nil)
	h := &Held{}
	var group sync.WaitGroup
	for i := range openers {
		group.Go(func() {
			for range n/openers + min(max(n%openers-i, 0), 1) {
				c, err := open(ctx)
				if err != nil {
					cancel(err)
					return
				}
				h.mu.Lock()
				h.all = append(h.all, c)
				h.mu.Unlock()
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		have := len(h.all)
		h.Close()
		return nil, fmt.Errorf("%d of %d connections: %w", have, n, err)
	}
	return h, nil
}

// Connections opens n kept connections, has one request answered on each, and leaves them idle.
func Connections(ctx context.Context, address string, n int) (*Held, error) {
	request := "GET / HTTP/1.1\r\nHost: " + address + "\r\n\r\n"
	return hold(ctx, n, func(ctx context.Context) (io.Closer, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		if err := ask(c, request); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	})
}

func ask(c io.ReadWriter, request string) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 1<<10), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if _, err = finish(resp, io.Discard); err == nil && resp.Close {
		err = errors.New("the connection is not kept: the answer says close")
	}
	return err
}

// WebSockets opens n, has one message echoed on each, and leaves them idle.
func WebSockets(ctx context.Context, address string, n int) (*Held, error) {
	return hold(ctx, n, func(ctx context.Context) (io.Closer, error) {
		c, _, err := websocket.Dial(ctx, "ws://"+address+"/ws", nil) //nolint:bodyclose // of an upgrade there is none
		if err != nil {
			return nil, err
		}
		const message = "are you there?"
		err = c.Write(ctx, websocket.MessageText, []byte(message))
		if err == nil {
			var echo []byte
			if _, echo, err = c.Read(ctx); err == nil && string(echo) != message {
				err = fmt.Errorf("the echo of %q is %q", message, echo)
			}
		}
		if err != nil {
			_ = c.CloseNow()
			return nil, err
		}
		return socket{c}, nil
	})
}

// socket closes without a goodbye, as most clients do.
type socket struct{ *websocket.Conn }

func (s socket) Close() error { return s.CloseNow() }
