package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// An instance answers at once, and writes down who came and when.
type instance struct {
	address string
	server  *http.Server
	served  chan error

	mu       sync.Mutex // guards arrivals
	arrivals []arrival
}

type arrival struct {
	client int // its number, in the order in which they were to wait
	at     time.Time
}

// numberField is the field of a request that says whose it is.
const numberField = "Bench-Number"

// page is what each gets: more than a slow reader takes at once.
var page = bytes.Repeat([]byte("0123456789abcdef"), 512)

func startInstance() (*instance, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &instance{address: l.Addr().String(), served: make(chan error, 1)}
	i.server = &http.Server{Handler: i, ReadHeaderTimeout: time.Minute}
	go func() { i.served <- i.server.Serve(l) }()
	return i, nil
}

func (i *instance) stop() error {
	err := i.server.Close()
	if e := <-i.served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	if n, err := strconv.Atoi(r.Header.Get(numberField)); err == nil {
		i.mu.Lock()
		i.arrivals = append(i.arrivals, arrival{n, at})
		i.mu.Unlock()
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the client is gone
	}
	_, _ = w.Write(page)
}

// came is who has come so far.
func (i *instance) came() []arrival {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]arrival(nil), i.arrivals...)
}
