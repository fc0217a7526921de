package semper

import (
	"encoding/json"
	"time"
)

// Epoch numbers route tables. Each new one has the next.
type Epoch int64

// A Table says where every request goes. It is one immutable value; the edge holds exactly one at
// an instant and swaps it atomically.
type Table struct {
	Epoch  Epoch   `json:"epoch"`
	Routes []Route `json:"routes"`
	// Rules are routes as well: those that ask for more than a host and a path, or that the edge answers itself. They stand
	// apart for edges that are older than they are, which serve by the rest.
	Rules []Route `json:"rules,omitempty"`
	Pools []Pool  `json:"pools"`
	// Workers are the pools of services whose instances ask for jobs: edges send them nothing, and who hands out jobs goes by them.
	Workers []Pool `json:"workers,omitempty"`
	// Draining are releases that left their pools and may still finish what they have.
	Draining []Draining `json:"draining,omitempty"`
	// StickyKey signs the cookies that bring clients back: 32 random bytes, the same for every edge and from table to table.
	StickyKey []byte `json:"sticky_key,omitempty"`
}

// PoolKey names a pool: "app/environment/service".
type PoolKey string

// NamePool is the key of a service's pool.
func NamePool(app, environment, service string) PoolKey {
	return PoolKey(app + "/" + environment + "/" + service)
}

// A Route sends requests for Host (empty: any) below Path to a pool. The most specific wins: an
// exact host before any host, then the longest path prefix on segment boundaries.
type Route struct {
	Host string  `json:"host,omitempty"`
	Path string  `json:"path"`
	Pool PoolKey `json:"pool"` // empty: the edge answers itself
	// Artifact is whose files answer, where the Answer is files.
	Artifact Digest `json:"artifact,omitempty"`
	Hold     Holds  `json:"hold,omitempty"` // of its requests alone
	RouteWords
}

// RouteWords are what else is said of a route: objects whose keys are those of a route in semper.yaml. Who routes by them reads
// them; everybody else hands them on. Nothing is said where one is empty.
type RouteWords struct {
	Match  json.RawMessage `json:"match,omitempty"`  // which requests it is for, beside host and path
	Answer json.RawMessage `json:"answer,omitempty"` // what the edge answers itself
	Policy json.RawMessage `json:"policy,omitempty"` // how its requests are treated
}

// Special reports whether a route asks for more than a host and a path, or is answered by the edge itself.
func (w RouteWords) Special() bool { return w.Match != nil || w.Answer != nil }

// A Pool is the ready instances of one service of the one release that may serve it.
type Pool struct {
	Key     PoolKey     `json:"key"`
	App     string      `json:"app"`
	Release ReleaseName `json:"release"`
	Backend []Backend   `json:"backends"`
	Hold    Holds       `json:"hold,omitempty"` // of all its requests
	Limits  HoldLimits  `json:"hold_limits"`
	// Protocol is what its instances speak, Policy how they are treated: see [Service].
	Protocol Protocol        `json:"protocol,omitempty"`
	Policy   json.RawMessage `json:"policy,omitempty"`
	Jobs     json.RawMessage `json:"jobs,omitempty"`  // of [Service]: its requests come from a queue, too
	Wakes    json.RawMessage `json:"wakes,omitempty"` // it may sleep, and a request wakes it: see package autoscale/waking
	// Split and Shadow are of a pool whose service is on trial. The arms' pools stand in the table too, by [PoolKey.PoolOf], with
	// their Arm; no route leads to them.
	Split  *Split  `json:"split,omitempty"`
	Shadow *Shadow `json:"shadow,omitempty"`
	Arm    Arm     `json:"arm,omitempty"`
	// ReplacedAt is, of the previous release's pool, when that was not the current one any more: its routes' windows run from then on.
	ReplacedAt time.Time       `json:"replaced_at,omitzero"`
	Variations json.RawMessage `json:"variations,omitempty"` // experiments that its requests are part of, as package experiment/design writes them
}

// A Backend is one ready instance as the edge sees it.
type Backend struct {
	ID         InstanceID `json:"id"`
	Address    string     `json:"address"` // "127.0.0.1:20001" or "unix:/path"
	PID        int        `json:"pid,omitempty"`
	StartTicks uint64     `json:"start_ticks,omitempty"`
	Health     Health     `json:"health"` // with which the edge re-admits a backend it ejected while nobody else can say
}

// A Hold makes requests wait, bounded, while something changes underneath.
type Hold struct {
	Service string    `json:"service,omitempty"` // holds only its requests
	Route   string    `json:"route,omitempty"`   // or only those of this one, by its host and path; with neither it holds all
	Writes  bool      `json:"writes"`            // hold only unsafe methods (RFC 9110, 9.2.1)
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"` // when it ends by itself, whoever is away
	By      string    `json:"by,omitempty"`
}

// Holds are all that hold something, each target once. In JSON one alone may stand as an object, as there could be only one before.
type Holds []Hold

// UnmarshalJSON reads an array, or one hold.
func (h *Holds) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		*h = make(Holds, 1)
		return json.Unmarshal(b, &(*h)[0])
	}
	return json.Unmarshal(b, (*[]Hold)(h))
}

// Draining is a release on its way out of an app, with the instants at which each connection class is cut.
type Draining struct {
	App       string       `json:"app"`
	Release   ReleaseName  `json:"release"`
	Instances []InstanceID `json:"instances"`
	Request   time.Time    `json:"request"`
	Stream    time.Time    `json:"stream"`
	WebSocket time.Time    `json:"websocket"`
}

// Class is a connection class.
type Class string

// The connection classes.
const (
	ClassRequest   Class = "request"
	ClassWrite     Class = "write"     // a request with an unsafe method, until its answer turns out to be a stream
	ClassStream    Class = "stream"    // text/event-stream
	ClassWebSocket Class = "websocket" // any upgraded connection
	ClassJob       Class = "job"       // a job that the instance asked for
)

// InFlight counts what an instance has in hand at an edge, per class.
type InFlight map[Class]int

// Total over the classes.
func (f InFlight) Total() int {
	n := 0
	for _, c := range f {
		n += c
	}
	return n
}

// A Ledger counts a release's requests. Accepted = Served + AppErrors + EdgeErrors + Shed + Cut + in flight.
// Retried and Held count requests that had it happen, whatever their end.
type Ledger struct {
	Accepted   uint64 `json:"accepted"`    // read whole (its head) and given to the release
	Served     uint64 `json:"served"`      // answered by the app, status < 500
	AppErrors  uint64 `json:"app_errors"`  // answered by the app with 500-599
	EdgeErrors uint64 `json:"edge_errors"` // the edge had to answer 502, 503 or 504 itself, or the response broke off
	Retried    uint64 `json:"retried"`
	Held       uint64 `json:"held"`
	Shed       uint64 `json:"shed"` // refused with 503 by a bound (hold limits)
	Cut        uint64 `json:"cut"`  // ended by a drain deadline, or with the edge that carried it
	// Gone counts requests whose client went away first: nobody's fault and nobody's loss. It is part of Served's complement.
	Gone uint64 `json:"gone"`
}

// Add is l + o.
func (l Ledger) Add(o Ledger) Ledger {
	l.Accepted += o.Accepted
	l.Served += o.Served
	l.AppErrors += o.AppErrors
	l.EdgeErrors += o.EdgeErrors
	l.Retried += o.Retried
	l.Held += o.Held
	l.Shed += o.Shed
	l.Cut += o.Cut
	l.Gone += o.Gone
	return l
}

// EdgeState is what one edge says of itself.
type EdgeState struct {
	ID       string                  `json:"id"`
	PID      int                     `json:"pid"`
	Epoch    Epoch                   `json:"epoch"`              // of the table it serves by
	InFlight map[InstanceID]InFlight `json:"in_flight"`          // instances with anything in hand
	Held     map[PoolKey]int         `json:"held"`               // requests waiting
	Waiting  map[string]int          `json:"waiting,omitempty"`  // of them, for routes that are held by themselves
	Ejected  []InstanceID            `json:"ejected,omitempty"`  // backends it found dead by itself
	Draining bool                    `json:"draining,omitempty"` // takes no new connections
}
