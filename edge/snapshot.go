package edge

import (
	"slices"
	"strings"
	"time"

	"semper"
	"semper/edge/hold"
	"semper/edge/ledger"
	"semper/edge/message"
	"semper/edge/witness"
)

// A snapshot is one table in the form requests use. It is immutable; the edge points to exactly one.
// The lanes and backends it names live on from snapshot to snapshot, with their counters.
type snapshot struct {
	table  semper.Table
	hosts  map[string][]prefix // "" is any host; each from the longest path to the shortest
	pools  map[semper.PoolKey]*pool
	places []*witness.Place
	drain  map[semper.InstanceID]semper.Draining // instances on their way out
}

type prefix struct {
	path string // without a slash at its end; "" matches everything
	pool *pool
}

// A pool is a pool of one snapshot.
type pool struct {
	semper.Pool
	backends []*backend
	lane     *lane
	slot     *ledger.Slot
	bounds   hold.Bounds
	age      time.Duration
	place    *witness.Place // of a route's
	release  []byte         // Pool.Release, as a field has it
}

// The bounds of a hold where a table names none.
const (
	defaultHeld      = 1000
	defaultHeldBytes = 64 << 20
	defaultHoldAge   = 30 * time.Second
	defaultRate      = 500
)

func (p *pool) setBounds() {
	l := &p.Limits
	if l.Requests <= 0 {
		l.Requests = defaultHeld
	}
	if l.Bytes <= 0 {
		l.Bytes = defaultHeldBytes
	}
	if l.Age <= 0 {
		l.Age = semper.Duration(defaultHoldAge)
	}
	if l.Rate <= 0 {
		l.Rate = defaultRate
	}
	p.bounds, p.age = hold.Bounds{Requests: l.Requests, Bytes: l.Bytes}, l.Age.D()
}

// gate is what stands before the pool at this instant. A pool that is nil is gone.
func (p *pool) gate() hold.Gate {
	if p == nil {
		return hold.Gate{Gone: true}
	}
	g := hold.Gate{Ready: slices.ContainsFunc(p.backends, (*backend).up), Rate: p.Limits.Rate}
	if p.Hold != nil {
		g.All, g.Writes = !p.Hold.Writes, p.Hold.Writes
	}
	return g
}

// holds reports whether a request has to wait for the end of a hold.
func (p *pool) holds(unsafe bool) bool { return p.Hold != nil && (unsafe || !p.Hold.Writes) }

// pick is the backend with the fewest requests in hand, ties in turn, avoid only when there is no
// other; nil when none is up.
func (p *pool) pick(avoid *backend) *backend {
	n := len(p.backends)
	if n == 0 {
		return nil
	}
	first := int(p.lane.requests.Add(1) % uint64(n))
	var best *backend
	var fewest int64
	for i := range n {
		b := p.backends[(first+i)%n]
		if b == avoid || !b.up() {
			continue
		}
		if load := b.load(); best == nil || load < fewest {
			best, fewest = b, load
		}
	}
	if best == nil && avoid != nil && avoid.up() && slices.Contains(p.backends, avoid) {
		best = avoid
	}
	return best
}

// match is the pool for a host and a path, both canonical; nil when no route leads anywhere.
func (s *snapshot) match(host, path string) *pool {
	if host != "" {
		if p := find(s.hosts[host], path); p != nil {
			return p
		}
	}
	return find(s.hosts[""], path)
}

func find(routes []prefix, path string) *pool {
	for _, r := range routes {
		if rest, ok := strings.CutPrefix(path, r.path); ok && (rest == "" || rest[0] == '/') {
			return r.pool
		}
	}
	return nil
}

// addRoutes fills hosts from the table's routes.
func (s *snapshot) addRoutes() {
	s.hosts = make(map[string][]prefix)
	for _, r := range s.table.Routes {
		host := message.CanonicalHost(r.Host)
		s.hosts[host] = append(s.hosts[host], prefix{strings.TrimRight(r.Path, "/"), s.pools[r.Pool]})
	}
	for _, routes := range s.hosts {
		slices.SortStableFunc(routes, func(a, b prefix) int { return len(b.path) - len(a.path) })
	}
}
