package later

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"semper"
	"semper/internal/config/kind"
	"semper/queue"
)

// Jobs is how a service's queue is worked.
type Jobs struct {
	Order     string          `yaml:"order" jsonschema:"enum=none,enum=key,enum=strict,default=none" doc:"none: as they come, several at a time. key: one at a time of those with one key, as accepted. strict: one at a time of all."`
	Key       string          `yaml:"key" jsonschema:"example=X-Customer" doc:"What the key of a request is, for order: key and per_key: a header field, or a place in a body of JSON, such as /customer/id (RFC 6901). A request without one is free."`
	Attempts  int             `yaml:"attempts" jsonschema:"minimum=1,maximum=1000,default=10" doc:"How often a request is tried before it is given up."`
	RetryOn   []string        `yaml:"retry_on" jsonschema:"example=[error\\, 429\\, 5xx]" doc:"After what it is tried again: statuses, kinds of them (5xx), or error for no answer. Any other answer is the client's. error, 408, 425, 429 and 5xx when left out."`
	Backoff   RetryPause      `yaml:"backoff" doc:"The pause before it is tried again, half of which is left to chance."`
	Timeout   semper.Duration `yaml:"timeout" jsonschema:"default=30s" doc:"How long one attempt may take; then another instance may get the request. At least 1s."`
	Longest   semper.Duration `yaml:"longest" jsonschema:"example=1h" doc:"How long an attempt may take that gives a sign of life within each timeout: an interim response (102), or some of its answer. As long as timeout when left out."`
	Alive     bool            `yaml:"alive" jsonschema:"enum=true" doc:"It is a sign of life as well that the instance keeps the connection open: an attempt takes up to longest, or until its instance dies."`
	TTL       semper.Duration `yaml:"ttl" jsonschema:"example=1h" doc:"How long a request may wait for an attempt, at most; a client may ask for less. For ever when left out."`
	Running   int             `yaml:"running" jsonschema:"minimum=1,maximum=100000,example=8" doc:"How many are done at a time, at most. 256 when left out."`
	PerKey    int             `yaml:"per_key" jsonschema:"minimum=1,maximum=100000,example=2" doc:"How many of one key are done at a time, at most. No bound when left out."`
	Rate      int             `yaml:"rate" jsonschema:"minimum=1,maximum=1000000,example=50" doc:"How many are begun in a second, at most. No bound when left out."`
	Burst     int             `yaml:"burst" jsonschema:"minimum=1,maximum=1000000,example=10" doc:"How many may begin at once under rate. A second's worth when left out."`
	Backlog   int             `yaml:"backlog" jsonschema:"minimum=1,maximum=10000000,default=200000" doc:"How many may wait. Beyond: 429."`
	Bytes     kind.Size       `yaml:"bytes" jsonschema:"default=512MiB" doc:"How many bytes may wait. Beyond: 429."`
	Body      kind.Size       `yaml:"body" jsonschema:"default=1MiB" doc:"Body of a request. Beyond: 413."`
	Answer    kind.Size       `yaml:"answer" jsonschema:"default=16MiB" doc:"Body of an answer that is kept, at most 64MiB. Of a larger one only its status and fields are."`
	Retain    semper.Duration `yaml:"retain" jsonschema:"default=24h" doc:"How long the answer can be asked for."`
	Dead      semper.Duration `yaml:"retain_dead" jsonschema:"default=336h" doc:"How long a request that no attempt completed is kept, for people to look at and try again."`
	Dedup     semper.Duration `yaml:"dedup" jsonschema:"default=24h" doc:"How long an Idempotency-Key is remembered."`
	Priority  int             `yaml:"priority" jsonschema:"minimum=-9,maximum=9,default=0" doc:"The highest Semper-Priority that a client may ask for, from -9 to 9. 0 is ordinary."`
	Delay     semper.Duration `yaml:"delay" jsonschema:"default=24h" doc:"How far ahead Semper-Not-Before may be."`
	Callbacks Callbacks       `yaml:"callbacks" doc:"Tell clients how their requests ended, by signed HTTP requests. Nobody is told when left out."`
}

// RetryPause is how long a request waits between attempts.
type RetryPause struct {
	First  semper.Duration `yaml:"first" jsonschema:"default=1s" doc:"After the first attempt."`
	Max    semper.Duration `yaml:"max" jsonschema:"default=10m" doc:"The longest pause."`
	Factor float64         `yaml:"factor" jsonschema:"minimum=1,maximum=100,default=2" doc:"How much longer each is than the one before."`
}

// Callbacks are how clients are told.
type Callbacks struct {
	Secret   string   `yaml:"secret" jsonschema:"required,example=callback_key" doc:"Name of the secret that signs them: semper secret set NAME."`
	To       string   `yaml:"to" jsonschema:"example=https://hooks.example.com/done" doc:"Who is told of requests that name nobody in Semper-Callback."`
	Hosts    []string `yaml:"hosts" jsonschema:"example=[hooks.example.com\\, '*.partner.example']" doc:"The only hosts that clients may name; *.NAME stands for all below NAME. Any when left out."`
	Networks []string `yaml:"networks" jsonschema:"example=[10.1.0.0/16]" doc:"Networks of addresses that are not public, to which callbacks may go all the same, also without TLS. None when left out: loopback, private, link-local and metadata addresses are refused."`
}

// Modes of routes whose requests are done later.
const (
	Async  = "async"
	Either = "either"
)

// Preferred is the rule of those requests of a route with mode: either that are done later. RFC 7240 section 4.1.
func Preferred(r semper.RouteRule) semper.RouteRule {
	var match map[string]any
	if json.Unmarshal(r.Match, &match) != nil || match == nil {
		match = map[string]any{}
	}
	fields, ok := match["header"].(map[string]any)
	if !ok {
		fields = map[string]any{}
	}
	fields["Prefer"] = map[string]string{"matches": `(?i)(^|,)\s*respond-async\s*(;|,|$)`}
	match["header"] = fields
	b, err := json.Marshal(match)
	if err != nil { // it was JSON
		return r
	}
	r.Match, r.Async, r.StickFor = b, true, 0
	var policy map[string]json.RawMessage
	if json.Unmarshal(r.Policy, &policy) == nil && policy["sticky"] != nil { // there is one queue
		delete(policy, "sticky")
		if r.Policy, err = json.Marshal(policy); err != nil {
			r.Policy = nil
		}
	}
	return r
}

// Settings are j as package queue has them. What is no network is left out.
func (j Jobs) Settings() queue.Settings {
	s := queue.Settings{
		Policy: queue.Policy{
			Order: queue.Order(j.Order), MaxAttempts: j.Attempts, RetryOn: j.RetryOn, TTL: time.Duration(j.TTL), Running: j.Running, PerKey: j.PerKey,
			Rate: float64(j.Rate), Burst: j.Burst, MaxJobs: j.Backlog, MaxBytes: int64(j.Bytes), MaxBody: int(j.Body), Retain: time.Duration(j.Retain),
			RetainDead: time.Duration(j.Dead), Dedup: time.Duration(j.Dedup), Lease: time.Duration(j.Timeout),
			Backoff: queue.Backoff{Base: time.Duration(j.Backoff.First), Max: time.Duration(j.Backoff.Max), Factor: j.Backoff.Factor},
		},
		Wishes:  queue.Wishes{Priority: j.Priority, Delay: time.Duration(j.Delay)},
		Longest: time.Duration(j.Longest), Alive: j.Alive, MaxAnswer: int(j.Answer),
	}
	if strings.HasPrefix(j.Key, "/") {
		s.KeyPointer = j.Key
	} else {
		s.KeyField = j.Key
	}
	if c := j.Callbacks; c.Secret != "" {
		s.Callbacks = &queue.Callbacks{Secret: c.Secret, To: c.To, Hosts: c.Hosts}
		for _, n := range c.Networks {
			if p, err := netip.ParsePrefix(n); err == nil {
				s.Callbacks.Networks = append(s.Callbacks.Networks, p.Masked())
			}
		}
	}
	return s
}

// Build is what a release keeps of j.
func (j Jobs) Build() json.RawMessage {
	b, err := json.Marshal(j.Settings())
	if err != nil { // numbers and text
		return nil
	}
	return b
}
