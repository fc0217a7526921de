package edge

import (
	"context"
	"net"
	"time"

	"semper/edge/dial"
	"semper/edge/upstream"
)

// newPool is the pool of connections to b: another life of the instance never sees a request that was written for this one.
func (b *backend) newPool() *upstream.Pool {
	s := &b.speech
	o := upstream.Options{Dial: b.dial, Protocol: s.protocol, TLS: s.tls, MaxIdle: s.idle, IdleTimeout: s.rest}
	if s.idle == 0 {
		o.MaxIdle, o.IdleTimeout = 256, time.Minute
	}
	if s.proxy > 0 {
		o.MaxIdle = -1
	}
	if s.tls != nil && s.tls.ServerName == "" {
		o.TLS = s.tls.Clone()
		o.TLS.ServerName = dial.Host(b.address)
	}
	return upstream.New(o)
}

// dial connects to the backend. A refusal ejects it at once: nobody is there.
func (b *backend) dial(ctx context.Context) (net.Conn, error) {
	c, err := dial.Dial(ctx, b.address, b.speech.proxy)
	if err != nil && dial.Refused(err) {
		b.eject("it does not accept connections", err)
	}
	return c, err
}
