// Command app is the service the bench deploys: small, quick to start, and able to tell from every
// answer which release gave it. The release is what its environment says (SEMPER_RELEASE), written
// on the first and on the last line of every body, so that a body stitched from two would show.
package main

import (
	"bytes"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

// payload stands between the two lines with the release.
const payload = 1 << 10

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	network, address := "tcp", "127.0.0.1:"+os.Getenv("PORT")
	if path := os.Getenv("SOCKET"); path != "" {
		network, address = "unix", path
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	release := os.Getenv("SEMPER_RELEASE")
	if release == "" {
		release = "r0"
	}
	a := &app{release: release, body: page(release), retired: ctx.Done()}
	server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	if err := server.Shutdown(context.Background()); err != nil {
		return err
	}
	a.sockets.Wait()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// An app answers for one release.
type app struct {
	release string
	body    []byte
	retired <-chan struct{}
	sockets sync.WaitGroup
}

func page(release string) []byte {
	line := []byte(release + "\n")
	filler := append(bytes.Repeat([]byte{'.'}, payload), '\n')
	return bytes.Join([][]byte{line, filler, line}, nil)
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/slow", a.slow)
	mux.HandleFunc("/halves", a.halves)
	mux.HandleFunc("/socket", a.socket)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { a.answer(w) })
	return mux
}

func (a *app) answer(w http.ResponseWriter) {
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	_, _ = w.Write(a.body) // a client that left has no use for an error
}

// slow answers after ms milliseconds, with nothing sent before: until then it could still be served
// by another instance.
func (a *app) slow(w http.ResponseWriter, r *http.Request) {
	if wait(w, r) {
		a.answer(w)
	}
}

// halves sends the first half of the body at once and the rest after ms milliseconds: a response cut
// by a deploy would be short, and one continued elsewhere mixed.
func (a *app) halves(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	half := len(a.body) / 2
	_, _ = w.Write(a.body[:half])
	_ = http.NewResponseController(w).Flush()
	if wait(w, r) {
		_, _ = w.Write(a.body[half:])
	}
}

// wait passes the milliseconds the request asks for. It is false when the client left before.
func wait(w http.ResponseWriter, r *http.Request) bool {
	ms, err := strconv.Atoi(r.FormValue("ms"))
	if err != nil || ms < 0 {
		http.Error(w, "ms is not a number of milliseconds", http.StatusBadRequest)
		return false
	}
	t := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// socket echoes each message with the release before it, until the client or this instance leaves.
func (a *app) socket(w http.ResponseWriter, r *http.Request) {
	a.sockets.Add(1)
	defer a.sockets.Done()
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	over := make(chan struct{})
	defer func() { <-over }()
	left := make(chan struct{})
	defer close(left)
	go func() {
		defer close(over)
		select {
		case <-a.retired:
			_ = c.Close(websocket.StatusGoingAway, "retired")
			cancel()
		case <-left:
		}
	}()
	for {
		kind, b, err := c.Read(ctx)
		if err != nil {
			return
		}
		if c.Write(ctx, kind, append([]byte(a.release+" "), b...)) != nil {
			return
		}
	}
}
