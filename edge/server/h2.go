package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http2"

	_ "semper/edge/server/internal/extended" // before http2 looks
	"semper/edge/server/internal/meter"
)

const (
	// pingAfter is how long an HTTP/2 connection may be silent before it is asked whether it lives.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// prepareH2 configures HTTP/2. What one connection may ask of this process is bounded here and in package http2: fields by
// the limits of a head, streams under way, requests that were reset but whose handlers still run, and control frames that
// wait to be sent; by package meter, what is nothing but work; by package stream, how long it may leave unread what it is sent.
//
//nolint:staticcheck // what net/http offers in the place of package http2 cannot serve a connection it did not accept
func (s *Server) prepareH2() {
	s.base = &http.Server{
		MaxHeaderBytes: s.o.Limits.Head, IdleTimeout: s.o.Idle,
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	s.h2 = &http2.Server{
		MaxConcurrentStreams: s.o.Streams, IdleTimeout: s.o.Idle, WriteByteTimeout: s.o.Write,
		ReadIdleTimeout: pingAfter, PingTimeout: pingTimeout,
		MaxUploadBufferPerConnection: 1 << 20, MaxUploadBufferPerStream: 256 << 10,
	}
	if err := http2.ConfigureServer(s.base, s.h2); err != nil {
		panic("http2 refuses a constant configuration: " + err.Error())
	}
}

// serveH2 speaks HTTP/2 over nc until the connection ends.
func (c *conn) serveH2(nc net.Conn) ending {
	c.nc.SetDeadline(time.Time{}) //nolint:errcheck // a closed connection says so in the read
	//nolint:staticcheck // see prepareH2
	c.server.h2.ServeConn(meter.New(nc), &http2.ServeConnOpts{
		Context: c.context(), BaseConfig: c.server.base, Handler: http.HandlerFunc(c.server.serveStream),
	})
	return drop
}

// serveStream answers a request of HTTP/2, in a goroutine of package http2, for which Close waits.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.works.Done()
	s.streams.ServeHTTP(w, r)
}

// sweepH2 tells clients to begin nothing more: each connection ends when its streams have.
func (s *Server) sweepH2() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()             // there is nothing to wait for
	s.base.Shutdown(ctx) //nolint:errcheck // the same
}

// context is that of the connection's requests.
func (c *conn) context() context.Context {
	if c.base == nil {
		ctx := context.WithValue(c.server.ctx, http.ServerContextKey, c.server.base)
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, c.nc.LocalAddr())
		if with := c.server.o.ConnContext; with != nil {
			ctx = with(ctx, c.nc)
		}
		c.base = ctx
	}
	return c.base
}
