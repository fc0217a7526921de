// Package probe asks a backend whether it is well. What the answers mean, over time, is for package balance.
package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"semper"
	"semper/edge/balance"
	"semper/edge/config"
	"semper/edge/dial"
)

const (
	// defaultTimeout is for a check that names none.
	defaultTimeout = time.Second
	// fast is how soon a surprising answer is asked for once more.
	fast   = time.Second
	jitter = 10 // percent
	// most is how much of an answer is read.
	most = 64 << 10
)

// A Check is how a backend is asked. The zero Check is to connect.
type Check struct {
	HTTP       bool // else to connect is enough
	Path, Host string
	Timeout    time.Duration
	Interval   time.Duration // 0: it is asked only while it is believed to be dead
	Rise, Fall int
}

// Of is the check of a Config's pool.
func Of(p *config.Probe) Check {
	c := Check{HTTP: p.Path != "", Path: p.Path, Host: p.Host, Timeout: p.Timeout, Interval: p.Interval, Rise: p.Rise, Fall: p.Fall}
	if p.Path == "" && !p.TCP {
		c.Interval = 0
	}
	return c
}

// OfTable is a table's check. What only a backend's keeper can judge is judged by whether it accepts.
func OfTable(h semper.Health) Check {
	return Check{HTTP: h.Kind == semper.HealthHTTP, Path: h.Path, Host: "localhost", Timeout: h.Timeout.D()}
}

// Policy is when to ask, and what the answers mean.
func (c *Check) Policy() balance.Probe {
	return balance.Probe{Interval: c.Interval, Fast: min(c.Interval, fast), Jitter: jitter, Rise: c.Rise, Fall: c.Fall}
}

// A Backend is whom to ask.
type Backend struct {
	Host   string // of its address
	Secure bool   // by TLS
	Single bool   // a question has a connection of its own
	Dial   func(ctx context.Context) (net.Conn, error)
	Trip   http.RoundTripper
}

// Ask asks once, and reports whether it is well. It is not known where this process has no descriptor to ask by.
func (c *Check) Ask(ctx context.Context, b Backend) (well, known bool) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if !c.HTTP {
		nc, err := b.Dial(ctx)
		if err != nil {
			return false, !dial.Exhausted(err)
		}
		nc.Close() //nolint:errcheck // nothing was written
		return true, true
	}
	path, host, scheme := c.Path, c.Host, "http://"
	if path == "" {
		path = "/"
	}
	if host == "" {
		host = b.Host
	}
	if b.Secure {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+host+path, nil)
	if err != nil {
		return false, true
	}
	req.Header.Set("User-Agent", "semper-edge")
	req.Close = b.Single
	resp, err := b.Trip.RoundTrip(req)
	if err != nil {
		return false, !dial.Exhausted(err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, most))
	resp.Body.Close() //nolint:errcheck // only read
	return err == nil && resp.StatusCode >= 200 && resp.StatusCode < 400, true
}
