// Command front is the least that a web service does to accept requests into RabbitMQ: it publishes each body as a persistent message to a
// durable queue, waits for the broker's confirmation, and answers 202. bench/queue measures it beside semper.
//
// It is a module of its own, so that semper does not carry what it requires.
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
	"sync/atomic"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func main() {
	url := flag.String("amqp", "amqp://guest:guest@127.0.0.1:5672/", "the broker")
	address := flag.String("http", "127.0.0.1:8080", "address to listen on")
	kind := flag.String("type", "classic", "of the queue: classic or quorum")
	channels := flag.Int("channels", 16, "that messages are published over")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *url, *address, *kind, *channels); err != nil {
		fmt.Fprintln(os.Stderr, "front:", err)
		stop()
		os.Exit(1)
	}
}

// A front publishes over its channels in turn. A channel is safe for concurrent use.
type front struct {
	queue    string
	channels []*amqp.Channel
	next     atomic.Uint64
	ids      atomic.Uint64
}

func run(ctx context.Context, url, address, kind string, channels int) (err error) {
	conn, err := amqp.Dial(url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	f := &front{queue: "bench-" + kind}
	for range channels {
		ch, err := conn.Channel()
		if err != nil {
			return err
		}
		if err := ch.Confirm(false); err != nil {
			return err
		}
		f.channels = append(f.channels, ch)
	}
	if _, err := f.channels[0].QueueDeclare(f.queue, true, false, false, false, amqp.Table{"x-queue-type": kind}); err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	s := &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	err = s.Close()
	<-failed
	return err
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id := strconv.FormatUint(f.ids.Add(1), 10)
	ch := f.channels[f.next.Add(1)%uint64(len(f.channels))]
	// mandatory: a message that no queue took would be returned, not lost in silence
	done, err := ch.PublishWithDeferredConfirmWithContext(r.Context(), "", f.queue, true, false, amqp.Publishing{
		DeliveryMode: amqp.Persistent, MessageId: id, Body: body,
		Headers: amqp.Table{"method": r.Method, "target": r.URL.RequestURI()},
	})
	if err == nil {
		var took bool
		if took, err = done.WaitContext(r.Context()); err == nil && !took {
			err = errors.New("the broker did not take it")
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Location", "/requests/"+id)
	w.WriteHeader(http.StatusAccepted)
}
