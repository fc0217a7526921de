package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"semper/edge/http1"
)

// A Protocol is what an instance speaks.
type Protocol uint8

// The protocols. H2 and Auto need Options.TLS: without TLS there is nobody to negotiate with.
const (
	H1   Protocol = iota // HTTP/1.1
	H2C                  // HTTP/2 without TLS, known beforehand
	H2                   // HTTP/2 over TLS, or no connection
	Auto                 // whichever of HTTP/1.1 and HTTP/2 the instance prefers (ALPN)
)

// What holds where Options say nothing.
const (
	defaultMaxIdle     = 256
	defaultIdleTimeout = 60 * time.Second
	defaultInterim     = 32

	handshakeTimeout = 10 * time.Second
	// An HTTP/2 connection that brings nothing for pingAfter is asked whether it lives, and has pingTimeout to answer.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
)

// Options say how a Pool connects, and how long it waits.
type Options struct {
	// Dial connects to the instance, and bounds how long that takes. What it returns must have the SyscallConn of
	// package net: a connection without it cannot be looked at while it is idle, and is used once.
	Dial     func(ctx context.Context) (net.Conn, error)
	Protocol Protocol
	// TLS makes connections of TLS; nil leaves them plain. NextProtos is the pool's to set.
	TLS *tls.Config

	// Limits bound a response; nil is http1.DefaultResponse. They are shared, and never written.
	Limits *http1.Limits
	// MaxInterim bounds the informational responses to one request that RoundTrip takes; 0 is 32.
	MaxInterim int

	MaxIdle     int           // idle connections kept; 0 is 256, less is none
	IdleTimeout time.Duration // how long a connection is kept idle; 0 is a minute

	// HeadTimeout is how long an instance may take for the head of a response, from the end of the request on;
	// BodyTimeout is how long nothing of the content may come, and how long an instance may take nothing of a request.
	// StreamTimeout takes the place of the latter in responses that may be silent for long: event streams, and gRPC.
	// Zero is without bound. All are kept within an eighth, never sooner: so a busy connection sets its deadline
	// once in many requests.
	HeadTimeout   time.Duration
	BodyTimeout   time.Duration
	StreamTimeout time.Duration
}

// settled are the options with everything they leave out.
func (o Options) settled() Options {
	if o.Limits == nil {
		o.Limits = &http1.DefaultResponse
	}
	if o.MaxInterim == 0 {
		o.MaxInterim = defaultInterim
	}
	if o.MaxIdle == 0 {
		o.MaxIdle = defaultMaxIdle
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = defaultIdleTimeout
	}
	return o
}

// names are those of ALPN, the preferred one first.
func (p Protocol) names() []string {
	switch p {
	case H2:
		return []string{"h2"}
	case Auto:
		return []string{"h2", "http/1.1"}
	}
	return []string{"http/1.1"}
}
