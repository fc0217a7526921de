package edge

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"semper/edge/balance"
	"semper/edge/balance/admit"
	"semper/edge/front"
	"semper/edge/gate"
	"semper/edge/hold"
	"semper/edge/http1"
	"semper/edge/route"
	"semper/edge/route/sticky"
	"semper/edge/witness"
)

// A rule is a rule of one snapshot, with what its policy needs at hand.
type rule struct {
	*route.Rule
	*memory
	forward *route.Forward // nil: this edge answers itself
	site    *site          // of Files
	targets []target       // of forward, in the order of its shares

	tries            int
	connect, reset   bool // retried after these
	statuses         []int
	request, respond *http1.Edit
	bounds           front.Bounds
	priority         admit.Priority
	stick            *sticky.Signer // nil: clients do not stick
	aside            bool           // for net/http's way alone
	streams          bool           // event streams and WebSockets have an end
	hashed           bool           // balanced by a key

	room hold.Bounds // for those who wait for a backend
	age  time.Duration
}

// A target is one pool that a rule leads to.
type target struct {
	pool   *pool
	picker *balance.Picker
	place  *witness.Place
	gate   *gate.Gate // nil: there is always room
	most   int64      // in flight to each backend; 0: any number
	ours   sticky.Tag // the pool's
	tags   []sticky.Tag
}

// room is how many may be in flight to all of the target's backends; 0: any number.
func (t *target) room(now int64) int64 {
	if t.most == 0 {
		return 0
	}
	return max(t.most*int64(t.picker.Fit(now)), 1)
}

// A memory is what lives on of a rule from snapshot to snapshot.
type memory struct {
	requests atomic.Uint64 // so far
	_        [56]byte      // what follows is only read
	budget   *admit.Budget
	rates    []rate
	clients  *admit.Table // of rates with keys
}

// A rate is one of a rule's rate limits.
type rate struct {
	admit.Rate
	by     route.Key
	bucket *admit.Bucket
}

// clientsPerRule is how many keys a rule's rate limits keep apart.
const clientsPerRule = 1 << 14

func newMemory(p *route.Policy, now int64) *memory {
	share, floor := p.Retry.Share, p.Retry.Floor
	if share == 0 {
		share = -1
	}
	if floor == 0 {
		floor = -1
	}
	m := &memory{budget: admit.NewBudget(admit.BudgetPolicy{Ratio: share, Floor: floor}, now)}
	for _, l := range p.RateLimit {
		burst := l.Burst
		if burst == 0 {
			burst = l.Requests
		}
		m.rates = append(m.rates, rate{Rate: admit.NewRate(l.Requests, l.Period, burst), by: l.By, bucket: new(admit.Bucket)})
		if !l.By.IsZero() && m.clients == nil {
			m.clients = admit.NewTable(clientsPerRule)
		}
	}
	return m
}

// take is one request against the rate limits: 0, or how many nanoseconds too early it comes. One that has no such key
// is not limited by it.
func (m *memory) take(now int64, q *route.Query) (early int64) {
	for i := range m.rates {
		r := &m.rates[i]
		if r.by.IsZero() {
			early = max(early, r.bucket.Take(now, r.Rate))
			continue
		}
		if h, ok := r.by.Hash(q, uint64(i)); ok {
			var key [8]byte
			for b := range key {
				key[b] = byte(h >> (8 * b))
			}
			early = max(early, m.clients.Take(now, r.Rate, uint64(i), key[:]))
		}
	}
	return early
}

// name tells a rule from others, from snapshot to snapshot, as far as what it remembers is concerned.
func name(r *route.Rule) string {
	return fmt.Sprintf("%+v %+v %+v", r.Match, r.Policy.RateLimit, r.Policy.Retry)
}

// newRule is what is said of r by itself, without what it leads to.
func newRule(r *route.Rule) (rule, error) {
	p := &r.Policy
	c := rule{Rule: r, tries: max(p.Retry.Tries, 1), priority: priority(p.Class)}
	var err error
	if c.request, err = edit(p.Headers.Request); err != nil {
		return c, err
	}
	if c.respond, err = edit(p.Headers.Response); err != nil {
		return c, err
	}
	c.connect, c.reset = len(p.Retry.On) == 0, len(p.Retry.On) == 0
	for _, on := range p.Retry.On {
		switch status, err := strconv.Atoi(on); {
		case on == "connect":
			c.connect = true
		case on == "reset":
			c.reset = true
		case err == nil:
			c.statuses = append(c.statuses, status)
		}
	}
	t := &p.Timeouts
	c.bounds = front.Bounds{
		Connect: t.Connect, Response: t.Response, Upload: t.Body, Stall: t.Body, Rate: t.MinRate.Bytes(), Write: t.Write, Content: p.Limits.Body.Bytes(),
	}
	c.forward, _ = r.Action.(*route.Forward) //nolint:errcheck // nil says it
	c.aside = len(c.statuses) > 0 || len(p.Compress.Algorithms) > 0 || p.Hedge.Quantile > 0
	c.hashed = p.Balance.Algorithm.Hashes()
	c.streams = t.Stream > 0 || p.MaxStreamAge > 0
	c.room, c.age = hold.Bounds{Requests: p.Queue.Length, Bytes: defaultHeldBytes}, p.Queue.Deadline
	return c, nil
}

func priority(c route.Class) admit.Priority {
	switch c {
	case route.Critical:
		return admit.High
	case route.Background:
		return admit.Low
	}
	return admit.Normal
}

// edit is e for messages of package http1; nil where it changes nothing.
func edit(e route.Edit) (*http1.Edit, error) {
	if len(e.Remove)+len(e.Set)+len(e.Add) == 0 {
		return nil, nil
	}
	return http1.NewEdit(lines(e.Set), lines(e.Add), e.Remove)
}

func lines(f route.Fields) []http1.Line {
	l := make([]http1.Line, len(f))
	for i := range f {
		l[i] = http1.Line(f[i])
	}
	return l
}

// retries reports whether an attempt that ended so may be followed by another, as far as the rule is concerned.
func (r *rule) retries(kind front.FailureKind) bool {
	switch kind {
	case front.ConnectFailed:
		return r.connect
	case front.Broken:
		return r.reset
	}
	return false
}

// wants reports whether a status is an answer, rather than a reason to try again.
func (r *rule) wants(status int) bool { return !slices.Contains(r.statuses, status) }

var policies = map[route.Algorithm]balance.Policy{
	"": balance.LeastInFlight, route.Least: balance.LeastInFlight, route.RoundRobin: balance.RoundRobin,
	route.LeastTime: balance.LeastTime, route.Rendezvous: balance.Rendezvous, route.Maglev: balance.Maglev,
}

// newTarget is p as a rule with policy o leads to it.
func newTarget(p *pool, o *route.Policy) target {
	return target{pool: p, most: int64(o.MaxInFlight), picker: balance.NewPicker(balance.Options{
		Policy: policies[o.Balance.Algorithm], SlowStart: p.slowStart, Panic: orNever(p.panicBelow), MaxInFlight: int64(o.MaxInFlight),
	}, p.members)}
}

// orNever turns a number whose zero means none into one whose negatives do.
func orNever(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// seconds are those until a request that came too early may come.
func seconds(early int64) int { return int(math.Ceil(float64(early) / 1e9)) }
