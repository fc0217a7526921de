// Package config is what an edge goes by, as values: the Config of an edge that runs alone, and what is made of each rule, of
// a Config or of a route table, before a request is looked at. It decides nothing about requests but what their rule
// says of them alone.
package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"semper/edge/route"
	"semper/edge/route/sticky"
	"semper/edge/tablefile"
	"semper/edge/upstream"
)

// A Config is what an edge goes by that runs alone: its rules, and the pools they lead to. It is what a [semper.Table] is
// to an edge of the product; an edge has one or the other. Whoever has given it to Configure must not change it any more.
//
// Numbers are what they say: where a bound may be left out, 0 is no bound, and nothing stands for a default.
// [DefaultPool] and [route.DefaultPolicy] are where to start from.
type Config struct {
	// Rules are the rules, compiled. Each pool that they name is in Pools.
	Rules  *route.Matcher
	Pools  map[string]Pool
	Sticky StickyKeys
	// Trusted are believed beside those of the edge's Options: see there.
	Trusted []netip.Prefix
}

// StickyKeys sign the cookies of sticky rules: random, at least 32 bytes each. Without Current the edge makes one up when it
// starts, which it keeps from Config to Config. Previous is still believed.
type StickyKeys struct{ Current, Previous []byte }

// A Pool is a set of upstreams that are as good as each other.
type Pool struct {
	Upstreams []Upstream

	Protocol upstream.Protocol
	// TLS secures connections to the upstreams; nil leaves them plain. Without a ServerName it is the host of an upstream's
	// address. Upstreams keep their connections from Config to Config as long as this pointer is the same.
	TLS *tls.Config
	// ProxyProtocol is the version of the PROXY protocol by which connections begin with who the client is; they serve one
	// request then. 0: none.
	ProxyProtocol int
	// MaxIdle is how many connections at rest are kept per upstream, and IdleTimeout for how long; negative is none, so that
	// each request has a connection of its own.
	MaxIdle     int
	IdleTimeout time.Duration

	Probe     Probe
	Outlier   Outlier
	Panic     int           // percentage of upstreams that have to be fit; below it nobody is asked any more; 0: never
	SlowStart time.Duration // until one that comes back has its full share; 0: at once

	Shadow *Shadow // nil: no request is copied
}

// An Upstream is one address of a pool. It is the same from Config to Config while its pool's name, its address, and how it is
// spoken to are: then it keeps its connections, its health, and what is in flight to it.
type Upstream struct {
	Address string // host:port, or unix:/path
	Weight  int    // its share, relative to the others'; 0 gets nothing new
}

// A Probe is a question that is asked of each upstream of a pool, again and again. Without Path and TCP nothing is
// asked.
type Probe struct {
	Path     string        // well is who answers GET of it with 200 to 399
	TCP      bool          // well is who accepts a connection
	Host     string        // of the question; empty: the upstream's address
	Interval time.Duration // between two questions
	Timeout  time.Duration // for the answer
	Rise     int           // good answers in a row until one is well again
	Fall     int           // bad ones until it is not
}

// An Outlier is when an upstream is left out for what becomes of its requests. While Consecutive and FailurePercent
// are 0 none is.
type Outlier struct {
	Consecutive    int           // failures in a row: no connection, or one that breaks before an answer
	Status5xx      bool          // answers of 500 to 599 are failures too
	FailurePercent int           // of the requests between two looks
	Base, Max      time.Duration // how long the first time; the n-th n times as long; at most
	MaxEjected     int           // percentage of the pool that may be out; one always may
}

// DefaultPool is a pool that says nothing but where.
func DefaultPool(addresses ...string) Pool {
	p := Pool{
		MaxIdle: 256, IdleTimeout: time.Minute, Panic: 50,
		Outlier: Outlier{Consecutive: 5, Base: 30 * time.Second, Max: 5 * time.Minute, MaxEjected: 10},
	}
	for _, a := range addresses {
		p.Upstreams = append(p.Upstreams, Upstream{Address: a, Weight: 1})
	}
	return p
}

// Check refuses a Config by which requests could go astray.
func (c *Config) Check() error {
	if c.Rules == nil {
		return errors.New("it has no rules: compile some, or none, with route.Compile")
	}
	for i, key := range [][]byte{c.Sticky.Current, c.Sticky.Previous} {
		if key != nil || i == 0 && c.Sticky.Previous != nil {
			if _, err := sticky.New("", key, nil); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		p := c.Pools[name]
		if err := p.check(); err != nil {
			return fmt.Errorf("pool %s: %w", name, err)
		}
		if err := c.checkShadow(name, p.Shadow); err != nil {
			return fmt.Errorf("pool %s: %w", name, err)
		}
	}
	for i := range c.Rules.Rules() {
		r := &c.Rules.Rules()[i]
		if _, err := NewRule(r); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
		f, ok := r.Action.(*route.Forward)
		if !ok {
			continue
		}
		for _, share := range f.Pools {
			if _, ok := c.Pools[share.Pool]; !ok {
				return fmt.Errorf("rule %d leads to pool %q, which is not there", i+1, share.Pool)
			}
		}
	}
	return nil
}

func (p *Pool) check() error {
	seen := make(map[string]bool, len(p.Upstreams))
	for _, u := range p.Upstreams {
		switch err := tablefile.ValidAddress(u.Address); {
		case err != nil:
			return err
		case seen[u.Address]:
			return fmt.Errorf("%s stands in it twice", u.Address)
		}
		seen[u.Address] = true
	}
	switch {
	case p.TLS == nil && (p.Protocol == upstream.H2 || p.Protocol == upstream.Auto):
		return errors.New("HTTP/2 without TLS is not negotiated: add TLS, or take h2c or h1")
	case p.ProxyProtocol < 0 || p.ProxyProtocol > 2:
		return fmt.Errorf("there is no version %d of the PROXY protocol", p.ProxyProtocol)
	case p.ProxyProtocol > 0 && p.Protocol != upstream.H1:
		return errors.New("a connection of HTTP/2 is shared by clients: the PROXY protocol goes with h1")
	}
	return nil
}
