package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/upstream"
)

// Options say what a Server is made of. Edge, Handler and Pool are needed; what is zero elsewhere has a default.
type Options struct {
	Edge front.Edge
	// Handler answers what a Session passes on, and everything of HTTP/2.
	Handler http.Handler
	// Pool is the connections to a target that a Session has chosen; nil when there are none any more. It is called for
	// each attempt, from many goroutines. Whoever makes the pools closes them.
	Pool func(*front.Target) *upstream.Pool
	// OnIdle is called when a connection has ended. It must not block.
	OnIdle func()
	// Paused is called when a listener takes no connections for a moment, because of err; nil: its room is full.
	Paused func(err error)
	// ConnContext may put something into the context of a connection's requests, as in http.Server. It is called before
	// the first request that is given to Handler.
	ConnContext func(ctx context.Context, c net.Conn) context.Context
	Log         *slog.Logger // nil discards
	Origin      time.Time    // of Exchange.Now; zero: when the server begins

	Limits *http1.Limits // of requests; nil is http1.Default
	// H2C takes HTTP/2 on plaintext from clients that begin with it. Without it their first bytes are refused.
	H2C bool
	// AltSvc is the field of that name of each answer (RFC 7838); empty for none.
	AltSvc string
	// Streams bounds how many requests an HTTP/2 connection may have under way; 100.
	Streams uint32

	Head  time.Duration // for a request's head, from its first byte to its last, for the first byte of all, and for TLS's handshake; 10 s
	Idle  time.Duration // of a client's connection between requests; 75 s
	Body  time.Duration // in which some of a request's content has to come; 60 s
	Rate  int64         // bytes per second that content has to come at on the whole, after Body; 100
	Write time.Duration // in which a client has to take some of its answer; 90 s
}

func (o *Options) fill() {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&o.Head, 10*time.Second)
	set(&o.Idle, 75*time.Second)
	set(&o.Body, time.Minute)
	set(&o.Write, 90*time.Second)
	if o.Origin.IsZero() {
		o.Origin = time.Now()
	}
	if o.Rate == 0 {
		o.Rate = 100
	}
	if o.Streams == 0 {
		o.Streams = 100
	}
	if o.Limits == nil {
		o.Limits = &http1.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnIdle == nil {
		o.OnIdle = func() {}
	}
	if o.Paused == nil {
		o.Paused = func(error) {}
	}
}
