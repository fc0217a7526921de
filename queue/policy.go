package queue

import (
	"fmt"
	"strings"
	"time"
)

// Order is in which order jobs start.
type Order string

// The orders.
const (
	OrderNone   Order = "none"   // by priority, then as accepted; retries step aside
	OrderKey    Order = "key"    // one at a time per Job.Key, as accepted; jobs without a key are free
	OrderStrict Order = "strict" // one at a time, as accepted
)

// Policy is how a queue is worked. [Policy.Filled] gives what is left out.
type Policy struct {
	Order Order `json:"order,omitempty"`

	MaxAttempts int           `json:"max_attempts,omitempty"` // then it is dead; 0: 10
	Backoff     Backoff       `json:"backoff,omitzero"`
	RetryOn     []string      `json:"retry_on,omitempty"` // "5xx", "429", "error"; empty: DefaultRetryOn
	Lease       time.Duration `json:"lease,omitempty"`    // of an attempt, unless extended; 0: 30 s
	TTL         time.Duration `json:"ttl,omitempty"`      // of a job that says none; 0: it does not expire

	Running int     `json:"running,omitempty"` // at most so many at a time; 0: as many as are claimed
	PerKey  int     `json:"per_key,omitempty"` // of one key; 0: no bound
	Rate    float64 `json:"rate,omitempty"`    // starts per second; 0: no bound
	Burst   int     `json:"burst,omitempty"`   // starts at once under Rate; 0: a second's worth, at least 1

	MaxJobs  int   `json:"max_jobs,omitempty"`  // not terminal, dead ones included; 0: 200,000
	MaxBytes int64 `json:"max_bytes,omitempty"` // of those; 0: 512 MiB
	MaxBody  int   `json:"max_body,omitempty"`  // of one request; 0: 1 MiB

	Dedup      time.Duration `json:"dedup,omitempty"`       // how long an idempotency key is remembered; 0: 24 h
	Retain     time.Duration `json:"retain,omitempty"`      // how long a result is kept; 0: 24 h
	RetainDead time.Duration `json:"retain_dead,omitempty"` // then a dead job is discarded; 0: 14 days
}

// Inline is the largest body that stands in the engine's record itself.
const Inline = 64 << 10

// DefaultRetryOn: no answer, 408 Request Timeout, 425 Too Early, 429 Too Many Requests, and all of 5xx. Every other
// status is an answer, which the client gets.
var DefaultRetryOn = []string{"error", "408", "425", "429", "5xx"}

// Filled is p with its defaults.
func (p Policy) Filled() Policy {
	fill(&p.Order, OrderNone)
	fill(&p.MaxAttempts, 10)
	fill(&p.Lease, 30*time.Second)
	fill(&p.MaxJobs, 200_000)
	fill(&p.MaxBytes, 512<<20)
	fill(&p.MaxBody, 1<<20)
	fill(&p.Dedup, 24*time.Hour)
	fill(&p.Retain, 24*time.Hour)
	fill(&p.RetainDead, 14*24*time.Hour)
	if p.Rate > 0 {
		fill(&p.Burst, max(1, int(p.Rate)))
	}
	if len(p.RetryOn) == 0 {
		p.RetryOn = DefaultRetryOn
	}
	p.Backoff = p.Backoff.filled()
	return p
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Check is nil when a queue can go by p, else it names the first thing that is wrong.
func (p Policy) Check() error {
	switch p.Order {
	case "", OrderNone, OrderKey, OrderStrict:
	default:
		return invalid(fmt.Sprintf("order %q", p.Order), "none, key or strict")
	}
	for _, n := range []struct {
		name string
		bad  bool
	}{
		{"max_attempts", p.MaxAttempts < 0}, {"lease", p.Lease < 0}, {"ttl", p.TTL < 0}, {"running", p.Running < 0}, {"per_key", p.PerKey < 0},
		{"rate", p.Rate < 0 || p.Rate != p.Rate}, {"burst", p.Burst < 0}, {"max_jobs", p.MaxJobs < 0}, {"max_bytes", p.MaxBytes < 0},
		{"max_body", p.MaxBody < 0}, {"dedup", p.Dedup < 0}, {"retain", p.Retain < 0}, {"retain_dead", p.RetainDead < 0},
		{"backoff", p.Backoff.Base < 0 || p.Backoff.Max < 0 || p.Backoff.Factor < 0 || p.Backoff.Jitter < 0 || p.Backoff.Jitter > 1},
	} {
		if n.bad {
			return invalid(n.name+" is out of its range", "leave it out for its default")
		}
	}
	if p.Lease != 0 && p.Lease < time.Second {
		return invalid(fmt.Sprintf("a lease of %s", p.Lease), "at least 1s: shorter ones end while their holder waits for the processor")
	}
	for _, c := range p.RetryOn {
		if !isClass(c) {
			return invalid(fmt.Sprintf("retry_on %q", c), `a status such as "503", a class such as "5xx", or "error" for no answer at all`)
		}
	}
	return nil
}

func isClass(c string) bool {
	return c == "error" || len(c) == 3 && '1' <= c[0] && c[0] <= '5' &&
		(c[1:] == "xx" || strings.Trim(c[1:], "0123456789") == "")
}

// Retries is whether an attempt that ended with status is one to repeat. 0 is no answer at all.
func (p Policy) Retries(status int) bool {
	on := p.RetryOn
	if len(on) == 0 {
		on = DefaultRetryOn
	}
	text := fmt.Sprintf("%03d", status)
	for _, c := range on {
		if status == 0 && c == "error" || c == text || status != 0 && c[1:] == "xx" && c[0] == text[0] {
			return true
		}
	}
	return false
}
