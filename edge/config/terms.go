package config

import (
	"cmp"
	"crypto/tls"
	"time"

	"semper/edge/http1"
)

// Terms are what holds for the connections of a listener. What is zero has a default.
type Terms struct {
	TLS *tls.Config // nil: plaintext
	H2C bool        // takes HTTP/2 from clients of plaintext that begin with it

	AltSvc string // the field of each answer (RFC 7838): where else this is served; empty for none

	Head, Idle time.Duration // for a request's head, whole, 10 s; between two requests, 75 s
	MaxHead    int           // of a request, in bytes; 32 KiB
	MaxFields  int           // of a request; 100
	MaxConns   int           // connections at once; 0: no bound
	MaxContent int64         // of a request, in bytes; 1 GiB; below 0: what its rule says is all
}

// Whole is t with its defaults.
func (t Terms) Whole() Terms {
	t.Head, t.Idle = cmp.Or(t.Head, 10*time.Second), cmp.Or(t.Idle, 75*time.Second)
	t.MaxHead, t.MaxFields = cmp.Or(t.MaxHead, http1.Default.Head), cmp.Or(t.MaxFields, http1.Default.Fields)
	t.MaxContent = cmp.Or(t.MaxContent, http1.Default.Body)
	if t.TLS != nil && len(t.TLS.NextProtos) == 0 {
		t.TLS = t.TLS.Clone()
		t.TLS.NextProtos = []string{"h2", "http/1.1"}
	}
	return t
}

// Limits are what one request may ask of this process.
func (t Terms) Limits() *http1.Limits {
	l := http1.Default
	if t.MaxHead != l.Head {
		l.Head, l.Line, l.Target = t.MaxHead, t.MaxHead, min(l.Target, t.MaxHead)
	}
	l.Fields, l.Body = t.MaxFields, max(t.MaxContent, 0)
	return &l
}
