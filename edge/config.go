package edge

import (
	"crypto/tls"
	"time"

	"semper/edge/route"
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
	Pools  map[string]PoolConfig
	Sticky StickyKeys
}

// StickyKeys sign the cookies of sticky rules: random, at least 32 bytes each. Without Current the edge makes one up when it
// starts, which it keeps from Config to Config. Previous is still believed.
type StickyKeys struct{ Current, Previous []byte }

// A PoolConfig is a set of upstreams that are as good as each other.
type PoolConfig struct {
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

	Probe     ProbeConfig
	Outlier   OutlierConfig
	Panic     int           // percentage of upstreams that have to be fit; below it nobody is asked any more; 0: never
	SlowStart time.Duration // until one that comes back has its full share; 0: at once
}

// An Upstream is one address of a pool. It is the same from Config to Config while its pool's name, its address, and how it is
// spoken to are: then it keeps its connections, its health, and what is in flight to it.
type Upstream struct {
	Address string // host:port, or unix:/path
	Weight  int    // its share, relative to the others'; 0 gets nothing new
}

// A ProbeConfig is a question that is asked of each upstream of a pool, again and again. Without Path and TCP nothing is
// asked.
type ProbeConfig struct {
	Path     string        // well is who answers GET of it with 200 to 399
	TCP      bool          // well is who accepts a connection
	Host     string        // of the question; empty: the upstream's address
	Interval time.Duration // between two questions
	Timeout  time.Duration // for the answer
	Rise     int           // good answers in a row until one is well again
	Fall     int           // bad ones until it is not
}

// An OutlierConfig is when an upstream is left out for what becomes of its requests. While Consecutive and FailurePercent
// are 0 none is.
type OutlierConfig struct {
	Consecutive    int           // failures in a row: no connection, or one that breaks before an answer
	Status5xx      bool          // answers of 500 to 599 are failures too
	FailurePercent int           // of the requests between two looks
	Base, Max      time.Duration // how long the first time; the n-th n times as long; at most
	MaxEjected     int           // percentage of the pool that may be out; one always may
}

// DefaultPool is a pool that says nothing but where.
func DefaultPool(addresses ...string) PoolConfig {
	p := PoolConfig{
		MaxIdle: idlePerBackend, IdleTimeout: idleTimeout, Panic: 50,
		Outlier: OutlierConfig{Consecutive: 5, Base: 30 * time.Second, Max: 5 * time.Minute, MaxEjected: 10},
	}
	for _, a := range addresses {
		p.Upstreams = append(p.Upstreams, Upstream{Address: a, Weight: 1})
	}
	return p
}
