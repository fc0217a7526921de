package config

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/edge/balance/admit"
	"semper/edge/front"
	"semper/edge/hedge"
	"semper/edge/hold"
	"semper/edge/http1"
	"semper/edge/route"
)

// A Rule is a rule with what its policy needs at hand.
type Rule struct {
	*route.Rule
	*Memory
	Forward *route.Forward // nil: the edge answers itself

	Tries             int                // how often at most, the first time counted
	Connect, Reset    bool               // tried again after these
	Statuses          []int              // and after these answers
	Budget            admit.BudgetPolicy // of those tries, and of hedges
	Hedge             hedge.Policy
	Hedges            admit.BudgetPolicy // the part of the budget that is for hedges
	Request, Response *http1.Edit
	Bounds            front.Bounds
	Priority          admit.Priority
	Aside             bool // for net/http's way alone
	Hashed            bool // balanced by a key

	Room hold.Bounds // for those who wait for a backend
	Age  time.Duration
}

// HeldBytes is how much content those may have who wait in one line.
const HeldBytes = 64 << 20

// A Memory is what lives on of a rule from snapshot to snapshot.
type Memory struct {
	Pace    hedge.Pace // where the rule hedges
	rates   []rate
	clients *admit.Table // of rates with keys
}

// A rate is one of a rule's rate limits.
type rate struct {
	admit.Rate
	by     route.Key
	bucket *admit.Bucket
}

// hedgeFloor is how many hedges a second there may be however few requests there are.
const hedgeFloor = 1

// clientsPerRule is how many keys a rule's rate limits keep apart.
const clientsPerRule = 1 << 14

// NewMemory remembers nothing.
func NewMemory(p *route.Policy) *Memory {
	m := new(Memory)
	limits := slices.Clone(p.RateLimit)
	slices.SortStableFunc(limits, func(a, b route.RateLimit) int { // one client's before those of all
		return cmp.Compare(rank(a.By), rank(b.By))
	})
	for _, l := range limits {
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

func rank(by route.Key) int {
	if by.IsZero() {
		return 1
	}
	return 0
}

// Take is one request against the rate limits: 0, or how many nanoseconds too early it comes. One that has no such key
// is not limited by it. One that is refused counts against none of them: who asks for too much uses up nobody else's share.
func (m *Memory) Take(now int64, q *route.Query) (early int64) {
	for i := range m.rates {
		if early = m.take(i, now, q); early > 0 {
			for i--; i >= 0; i-- {
				m.undo(i, q)
			}
			return early
		}
	}
	return 0
}

func (m *Memory) take(i int, now int64, q *route.Query) (early int64) {
	r := &m.rates[i]
	if r.by.IsZero() {
		return r.bucket.Take(now, r.Rate)
	}
	key, ok := r.key(i, q)
	if !ok {
		return 0
	}
	return m.clients.Take(now, r.Rate, uint64(i), key[:])
}

func (m *Memory) undo(i int, q *route.Query) {
	r := &m.rates[i]
	if r.by.IsZero() {
		r.bucket.Undo(r.Rate)
	} else if key, ok := r.key(i, q); ok {
		m.clients.Undo(r.Rate, uint64(i), key[:])
	}
}

// key is whom the i-th limit counts the request for.
func (r *rate) key(i int, q *route.Query) (key [8]byte, ok bool) {
	h, ok := r.by.Hash(q, uint64(i))
	binary.LittleEndian.PutUint64(key[:], h)
	return key, ok
}

// Name tells a rule from others, from snapshot to snapshot, as far as what it remembers is concerned.
func Name(r *route.Rule) string {
	return fmt.Sprintf("%+v %+v", r.Match, r.Policy.RateLimit)
}

// NewRule is what is said of r by itself, without what it leads to.
func NewRule(r *route.Rule) (Rule, error) {
	p := &r.Policy
	c := Rule{Rule: r, Tries: max(p.Retry.Tries, 1), Priority: priority(p.Class)}
	var err error
	if c.Request, err = edit(p.Headers.Request); err != nil {
		return c, err
	}
	if c.Response, err = edit(p.Headers.Response); err != nil {
		return c, err
	}
	c.Budget = admit.BudgetPolicy{Ratio: p.Retry.Share, Floor: p.Retry.Floor}
	c.Hedge = hedge.Policy{Quantile: p.Hedge.Quantile, After: p.Hedge.After}
	c.Hedges = admit.BudgetPolicy{Ratio: p.Hedge.Share, Floor: hedgeFloor}
	c.Connect, c.Reset = len(p.Retry.On) == 0, len(p.Retry.On) == 0
	for _, on := range p.Retry.On {
		switch status, err := strconv.Atoi(on); {
		case on == "connect":
			c.Connect = true
		case on == "reset":
			c.Reset = true
		case err == nil:
			c.Statuses = append(c.Statuses, status)
		}
	}
	t := &p.Timeouts
	c.Bounds = front.Bounds{
		Connect: t.Connect, Response: t.Response, Upload: t.Body, Stall: t.Body, Stream: t.Stream, Rate: t.MinRate.Bytes(), Write: t.Write, Content: p.Limits.Body.Bytes(),
	}
	if p.Patient {
		c.Bounds.Stall = 0
	}
	c.Forward, _ = r.Action.(*route.Forward) //nolint:errcheck // nil says it
	c.Aside = len(c.Statuses) > 0 || len(p.Compress.Algorithms) > 0
	c.Hashed = p.Balance.Algorithm.Hashes()
	c.Room, c.Age = hold.Bounds{Requests: p.Queue.Length, Bytes: HeldBytes}, p.Queue.Deadline
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

// Examines reports whether a request by r is the question that h describes, whoever asks it. One that is asked at "/" cannot be told
// from a visit.
func (r *Rule) Examines(q *route.Query, h *semper.Health) bool {
	if m := string(q.Method); h.Kind != semper.HealthHTTP || m != http.MethodGet && m != http.MethodHead {
		return false
	}
	want, _, _ := strings.Cut(h.Path, "?")
	path := q.Path
	if r.Rewrites() {
		path, _ = r.AppendPath(nil, path)
	}
	return len(path) > 1 && string(path) == want
}

// Class is p as a line has it: the lower is given up first.
func Class(p admit.Priority) uint8 {
	switch p {
	case admit.High:
		return 2
	case admit.Low:
		return 0
	}
	return 1
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

// Retries reports whether an attempt that ended so may be followed by another, as far as the rule is concerned.
func (r *Rule) Retries(kind front.FailureKind) bool {
	switch kind {
	case front.ConnectFailed:
		return r.Connect
	case front.Broken:
		return r.Reset
	}
	return false
}

// Wants reports whether a status is an answer, rather than a reason to try again.
func (r *Rule) Wants(status int) bool { return !slices.Contains(r.Statuses, status) }

// Seconds are those until a request that came too early may come.
func Seconds(early int64) int { return int(math.Ceil(float64(early) / 1e9)) }

// RouteName is what metrics call the route of r: its name, or its first host and its path.
func RouteName(r *route.Rule) string {
	if r.Name != "" {
		return r.Name
	}
	host := "*"
	if len(r.Match.Hosts) > 0 {
		host = r.Match.Hosts[0]
	}
	return host + cmp.Or(r.Match.Path, "/")
}
