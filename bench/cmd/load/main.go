// Command load sends HTTP and WebSocket traffic to an address and says what became of every request.
//
//	go run ./bench/cmd/load -address 127.0.0.1:8080 -for 10s
//
// It ends with status 1 when a request failed. The app must answer like bench/app does, or -lenient
// must be given: then any whole answer with status 200 is good.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"semper/bench/load"
)

func main() { os.Exit(run()) }

func run() int {
	var c load.Config
	flag.StringVar(&c.Address, "address", "127.0.0.1:8080", "host:port to connect to")
	flag.StringVar(&c.Host, "host", "", "Host header; the address when empty")
	flag.StringVar(&c.Path, "path", "/", "path of quick requests")
	flag.IntVar(&c.KeepAlive, "keepalive", 64, "kept connections, each in a closed loop")
	flag.DurationVar(&c.Think, "think", 0, "pause between an answer and the next request of a connection")
	flag.IntVar(&c.Fresh, "fresh", 20, "new connections per second")
	flag.IntVar(&c.Slow, "slow", 0, "connections with a slow request in hand all the time")
	flag.StringVar(&c.SlowPath, "slow-path", "/slow?ms=2000", "path of slow requests")
	flag.IntVar(&c.Sockets, "websockets", 0, "WebSockets, each one message and its echo at a time")
	flag.StringVar(&c.SocketURL, "websocket-path", "/socket", "path of the WebSockets")
	flag.BoolVar(&c.Lenient, "lenient", false, "do not look for the release in the body")
	d := flag.Duration("for", 10*time.Second, "how long; 0: until interrupted")
	asJSON := flag.Bool("json", false, "report as JSON")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *d)
		defer cancel()
	}
	g := load.Start(context.Background(), c)
	g.Enter("all")
	<-ctx.Done()
	r := g.Stop()
	if *asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	} else {
		r.Print(os.Stdout)
	}
	if r.Failed > 0 {
		return 1
	}
	return 0
}
