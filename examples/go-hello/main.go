// Command go-hello is a web service that runs under semper, standard library only.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "embed"
)

//go:embed version.txt
var version string

// maxSleep bounds what a caller of /slow may ask for.
const maxSleep = time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends, then finishes the requests it has.
func run(ctx context.Context) error {
	l, err := listen()
	if err != nil {
		return err
	}
	log.Printf("go-hello %s listens on %s", strings.TrimSpace(version), l.Addr())
	server := &http.Server{Handler: handler(ctx), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	return server.Shutdown(context.Background()) // semper's stop timeout is the bound
}

// listen opens the address semper chose: SOCKET is a path, PORT a port of the loopback.
func listen() (net.Listener, error) {
	if path := os.Getenv("SOCKET"); path != "" {
		return net.Listen("unix", path)
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8000"
	}
	return net.Listen("tcp", "127.0.0.1:"+port)
}

func handler(ctx context.Context) http.Handler {
	release, instance := os.Getenv("SEMPER_RELEASE"), os.Getenv("SEMPER_INSTANCE")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /slow", slow)
	mux.HandleFunc("GET /sse", func(w http.ResponseWriter, r *http.Request) { events(ctx, w, r, release) })
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return // the client went away
		}
		fmt.Fprintf(w, "%s read %d bytes\n", release, n)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "hello from go, version %s\nrelease %s, instance %s, pid %d\n",
			strings.TrimSpace(version), release, instance, os.Getpid())
	})
	return mounted("/go-hello", mux)
}

// mounted serves h both at the root and below prefix: semper passes paths on as they came.
func mounted(prefix string, h http.Handler) http.Handler {
	below := http.StripPrefix(prefix, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == prefix:
			r.URL.Path = "/"
			h.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, prefix+"/"):
			below.ServeHTTP(w, r)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

func slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.Atoi(r.FormValue("ms"))
	if err != nil {
		ms = 2000
	}
	d := min(time.Duration(ms)*time.Millisecond, maxSleep)
	select {
	case <-time.After(d):
		fmt.Fprintf(w, "slept %v\n", d)
	case <-r.Context().Done():
	}
}

// events sends one server-sent event a second until the client leaves or the instance is retired.
func events(ctx context.Context, w http.ResponseWriter, r *http.Request, release string) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		fmt.Fprintf(w, "id: %d\ndata: %s %d\n\n", n, release, n)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-ctx.Done():
			return
		}
	}
}
