package config

import (
	"encoding/json"
	"fmt"
	"time"

	"semper"
	"semper/edge/hold"
	"semper/edge/upstream"
	"semper/edge/words"
)

// The bounds of a hold where a table names none, and how many a second are let go behind one.
const (
	heldRequests = 1000
	heldFor      = 30 * time.Second
	HeldRate     = 500
)

// Holds are the bounds of a hold by l, which it completes.
func Holds(l *semper.HoldLimits) (hold.Bounds, time.Duration) {
	if l.Requests <= 0 {
		l.Requests = heldRequests
	}
	if l.Bytes <= 0 {
		l.Bytes = HeldBytes
	}
	if l.Age <= 0 {
		l.Age = semper.Duration(heldFor)
	}
	if l.Rate <= 0 {
		l.Rate = HeldRate
	}
	return hold.Bounds{Requests: l.Requests, Bytes: l.Bytes}, l.Age.D()
}

// OfPool is how a table's pool is treated. Its instances are the table's.
func OfPool(p *semper.Pool) (Pool, error) { return poolOf(p.Protocol, p.Policy, true) }

func poolOf(protocol semper.Protocol, said json.RawMessage, lenient bool) (Pool, error) {
	var c Pool
	switch protocol {
	case "", semper.ProtocolH1:
	case semper.ProtocolH2C:
		c.Protocol = upstream.H2C
	default:
		if !lenient {
			return c, fmt.Errorf("there is no protocol %q: it is one of h1, h2c", protocol)
		}
	}
	if said == nil {
		return c, nil
	}
	w, err := words.ReadPool(said, lenient)
	o := &w.Outlier
	c.Outlier = Outlier{
		Consecutive: o.Consecutive, Status5xx: o.Status5xx, FailurePercent: o.FailurePercent, Base: o.Base, Max: o.Max, MaxEjected: o.MaxEjected,
	}
	c.Panic, c.SlowStart = w.PanicThreshold, w.SlowStart
	c.MaxIdle, c.IdleTimeout = w.Keepalive.Idle, w.Keepalive.Timeout
	if c.MaxIdle == 0 { // off in words; no default here
		c.MaxIdle = -1
	}
	c.ProxyProtocol = map[string]int{"v1": 1, "v2": 2}[w.ProxyProtocol]
	return c, err
}
