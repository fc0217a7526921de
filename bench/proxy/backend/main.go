// Command backend is the instance behind the proxies for what nginx cannot answer by itself: it takes uploads to their end, and holds
// WebSockets. For the rest it answers as the nginx backend does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"github.com/coder/websocket"
)

func main() {
	address := flag.String("address", "127.0.0.1:8081", "where to listen")
	body := flag.String("body", "ok", "the answer to GET /")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *address, *body); err != nil {
		fmt.Fprintln(os.Stderr, "backend:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, address, body string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler(body), BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return errors.Join(server.Close(), ignoreClosed(<-ended))
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// handler answers body to GET /, the number of bytes that came to PUT /upload, and echoes the messages of WebSockets on /ws.
func handler(body string) http.Handler {
	text := []byte(body)
	buffers := sync.Pool{New: func() any { return new([256 << 10]byte) }}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write(text) // a client that has left is no concern of ours
	})
	mux.HandleFunc("PUT /upload", func(w http.ResponseWriter, r *http.Request) {
		buf, _ := buffers.Get().(*[256 << 10]byte)
		defer buffers.Put(buf)
		var n int64
		for {
			m, err := r.Body.Read(buf[:])
			n += int64(m)
			if err == io.EOF {
				break
			}
			if err != nil {
				return // the connection is broken: nobody is there to tell
			}
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return // Accept has answered
		}
		defer c.CloseNow() //nolint:errcheck // it ends whatever happened
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
	return mux
}
