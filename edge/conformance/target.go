package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// Transport is how a case reaches the proxy.
type Transport int

// The transports of edge.md: HTTP/1.1 over TCP, HTTP/1.1 over TLS, HTTP/2 over TLS, HTTP/3.
const (
	Plain Transport = iota
	TLS
	H2
	H3
)

// Transports are all of them.
var Transports = []Transport{Plain, TLS, H2, H3}

func (t Transport) String() string { return [...]string{"h1", "h1+tls", "h2", "h3"}[t] }

// Target is a proxy under test. Its route table must be this: host Host, and Other where it is set, lead to Backend;
// their path prefix /guarded leads to Guarded where that is set; nothing else leads anywhere.
//
// A Target is checked by one goroutine at a time: what reaches Backend belongs to the case that is being run.
type Target struct {
	Plain string // host:port for HTTP/1.1 without TLS; empty: no such listener
	TLS   string // host:port for TLS with ALPN h2 and http/1.1; empty: no such listener
	H3    string // host:port for HTTP/3; empty: no such listener
	Proxy string // host:port of a plain listener that requires a PROXY header and trusts this peer; empty: none
	Host  string // the host that is routed
	Other string // another host that is routed, with a certificate of its own; empty: none
	Roots *x509.CertPool

	Backend *Recorder
	Guarded *Recorder

	MaxBody   int64     // the proxy's limit for a request's body; 0: it has none that could be reached
	Deadlines Deadlines // as the proxy is configured; 0: not to be waited for
	// Patience is how long the proxy may take for what has no deadline of its own; 5 s where 0.
	Patience time.Duration

	// Supports tells which rows the target does not claim to handle, and why; nil: it claims all.
	Supports func(Row, Transport) (ok bool, reason string)

	cases int // run so far; the number of the one that is being run
}

// Deadlines are those settings of a proxy that a test can wait for, when they are short.
type Deadlines struct {
	Head  time.Duration // for a request's head, whole
	Body  time.Duration // between two pieces of a request's body, or for its minimum rate to show
	Write time.Duration // for a client that takes nothing
	Idle  time.Duration // for a tunnel without traffic
}

// shortest of those there are; 0: there is none.
func (d Deadlines) shortest() (short time.Duration) {
	for _, at := range []time.Duration{d.Head, d.Body, d.Write, d.Idle} {
		if at > 0 && (short == 0 || at < short) {
			short = at
		}
	}
	return short
}

const defaultPatience = 5 * time.Second

func (t *Target) patience() time.Duration {
	if t.Patience > 0 {
		return t.Patience
	}
	return defaultPatience
}

// late is how long to wait for what must happen at a deadline, before it counts as not happening.
func (t *Target) late(deadline time.Duration) time.Duration { return 4*deadline + t.patience() }

func (t *Target) addr(tr Transport) string {
	switch tr {
	case Plain:
		return t.Plain
	case H3:
		return t.H3
	}
	return t.TLS
}

func (t *Target) tlsConfig(host string, protocols ...string) *tls.Config {
	return &tls.Config{ServerName: host, RootCAs: t.Roots, InsecureSkipVerify: t.Roots == nil, NextProtos: protocols} //nolint:gosec // a proxy under test may sign its own
}
