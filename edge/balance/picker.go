package balance

import (
	"slices"
	"sync/atomic"
	"time"
)

// Policy is how a backend is picked.
type Policy uint8

// The policies; the package says what they do.
const (
	LeastInFlight Policy = iota
	LeastTime
	RoundRobin
	Rendezvous
	Maglev
)

// String is the name of p in files and messages.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "unknown"
}

var policyNames = [...]string{"least-in-flight", "least-time", "round-robin", "rendezvous", "maglev"}

// ParsePolicy is the policy of that name.
func ParsePolicy(name string) (Policy, bool) {
	i := slices.Index(policyNames[:], name)
	return Policy(max(i, 0)), i >= 0
}

// defaultPanic is the percentage of fit backends below which opinions on fitness are ignored, as in Envoy.
const defaultPanic = 50

// Options of a Picker. The zero Options are those of most pools.
type Options struct {
	Policy Policy
	// SlowStart is how long a backend that becomes fit takes to its full weight; 0: none. Hashing knows no slow start: keys
	// would move twice.
	SlowStart time.Duration
	// Panic is the percentage of fit backends below which all are picked that are not down; 0: 50; negative: never.
	Panic int
	// MaxInFlight is the most that one backend may have in flight; 0: no bound. It is looked at, not reserved: as many
	// requests as pick at the same moment may go over it.
	MaxInFlight int64
	// TableSize is that of Maglev, raised to a prime; 0: 65537. The more slots for each backend, the more even are their
	// shares. Two processes agree on keys only if they agree on it.
	TableSize int
}

// A Query is one request for a backend.
type Query struct {
	Now    int64  // monotonic nanoseconds
	Random uint64 // uniform, another for each Query
	Key    uint64 // [Hash] of what the request is hashed by; any random number where it has nothing of the kind
	// Avoid is backends that the request has been to in vain. They are picked only where there is no other.
	Avoid []*Backend
}

// Verdict says what became of a Query.
type Verdict uint8

// The verdicts.
const (
	Picked  Verdict = iota
	NoneFit         // the pool is empty, or all of it is down or, outside of a panic, unfit
	AllBusy         // all that could be picked have as much in flight as they may
)

// A Picker picks a backend of a pool, as one route table has it. Its methods are safe for concurrent use, take no
// lock, and allocate only when fitness has changed or a slow start goes on by a step.
type Picker struct {
	o       Options
	members []Member
	changes *Changes
	table   maglevTable

	turn     atomic.Uint64
	view     atomic.Pointer[view]
	stepping atomic.Bool // somebody makes the next step of a slow start
}

// maxMembers is how many backends an index of two bytes tells apart.
const maxMembers = 1<<16 - 1

// NewPicker is one for the members, which all share one Changes: for the first 65,535 of them, if there are more.
func NewPicker(o Options, members []Member) *Picker {
	if o.Panic == 0 {
		o.Panic = defaultPanic
	}
	if o.Policy == Rendezvous || o.Policy == Maglev {
		o.SlowStart = 0
	}
	members = members[:min(len(members), maxMembers)]
	p := &Picker{o: o, changes: new(Changes)}
	for _, m := range members {
		if m.Weight > 0 {
			p.members = append(p.members, m)
			p.changes = m.changes
		}
	}
	if o.Policy == Maglev {
		p.table = newMaglevTable(p.members, o.TableSize)
	}
	return p
}

// Pick is the backend for q, or nil and why there is none. Nothing is counted: that is the claim's business.
func (p *Picker) Pick(q Query) (*Backend, Verdict) {
	v := p.current(q.Now)
	if len(v.fit) == 0 {
		return nil, NoneFit
	}
	if len(q.Avoid) == 0 {
		if b := p.choose(v, q); b != nil && !p.busy(b) {
			return b, Picked
		}
	}
	if b := p.search(v, q, q.Avoid); b != nil {
		return b, Picked
	}
	if b := p.search(v, q, nil); b != nil {
		return b, Picked
	}
	if p.o.MaxInFlight > 0 {
		return nil, AllBusy
	}
	return nil, NoneFit // what was fit a moment ago is not any more
}

func (p *Picker) busy(b *Backend) bool {
	return p.o.MaxInFlight > 0 && b.InFlight.Load() >= p.o.MaxInFlight
}

// Panicking reports whether so few backends are fit at now that opinions on fitness are ignored.
func (p *Picker) Panicking(now int64) bool { return p.current(now).panicking }

// Fit is how many backends are picked from at now.
func (p *Picker) Fit(now int64) int { return len(p.current(now).fit) }
