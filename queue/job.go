package queue

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	"semper"
)

// Service is whose jobs a queue holds.
type Service struct {
	App         string `json:"app"`
	Environment string `json:"environment"`
	Service     string `json:"service"`
}

func (s Service) String() string { return s.App + "/" + s.Environment + "/" + s.Service }

// Check is nil when each part of the name may stand in a key.
func (s Service) Check() error {
	for _, part := range []string{s.App, s.Environment, s.Service} {
		if part == "" || part == "." || part == ".." || len(part) > 63 || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			return invalid(fmt.Sprintf("%q is not the name of a service's queue", s.String()), "app, environment and service are 1 to 63 letters, digits, '-', '_' or '.'")
		}
	}
	return nil
}

// Job is what was accepted. The zero values of everything but Request are good ones.
type Job struct {
	ID  ID     `json:"id"`            // given by Enqueue where it is zero
	Key string `json:"key,omitempty"` // the lane in OrderKey, and what PerKey counts by; at most 512 bytes

	Priority  int       `json:"priority,omitempty"`   // -9 to 9, higher first; 0 is ordinary
	NotBefore time.Time `json:"not_before,omitzero"`  // it does not start before
	Expires   time.Time `json:"expires,omitzero"`     // it does not start after; zero: Policy.TTL from now, if any
	Accepted  time.Time `json:"accepted"`             // set by Enqueue
	DedupKey  string    `json:"idempotency,omitzero"` // Idempotency-Key; at most 256 bytes
	Callback  string    `json:"callback,omitempty"`   // who is told of its end, see [Teller]; empty: nobody. At most 2,048 bytes

	Request Request `json:"request"`
}

// Request is the HTTP request an instance gets. The engine gives its bytes back as they were and looks into none.
type Request struct {
	Method string      `json:"method"`
	Target string      `json:"target"` // origin-form, RFC 9112 section 3.2.1
	Host   string      `json:"host,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"-"`
}

// Size is how many bytes a job counts as against [Policy.MaxBytes].
func (j Job) Size() int64 {
	r := j.Request
	n := len(r.Body) + len(r.Method) + len(r.Target) + len(r.Host) + len(j.Key) + len(j.DedupKey)
	for k, vs := range r.Header {
		for _, v := range vs {
			n += len(k) + len(v)
		}
	}
	return int64(n)
}

// Digest tells whether two jobs under one idempotency key ask for the same: method, target, host, the media type and
// the body. Other fields of the header may differ between two sendings of one request.
func (j Job) Digest() [sha256.Size]byte {
	h := sha256.New()
	r := j.Request
	for _, part := range []string{r.Method, r.Target, r.Host, r.Header.Get("Content-Type"), j.Key} {
		fmt.Fprintf(h, "%d %s ", len(part), part)
	}
	h.Write(r.Body)
	return [sha256.Size]byte(h.Sum(nil))
}

// Check is nil when p's queue may take j at now.
func (j Job) Check(p Policy, now time.Time) error {
	switch r := j.Request; {
	case len(r.Body) > p.MaxBody:
		return &semper.Error{Code: semper.Invalid, Op: "enqueue", Err: ErrTooLarge,
			Message: fmt.Sprintf("a body of %d bytes is more than the %d this queue takes", len(r.Body), p.MaxBody),
			Hint:    "put it where the instance can fetch it and send its address, or raise max_body"}
	case r.Method == "" || r.Target == "":
		return invalid("a job without a method or a target", "say which request is to be made")
	case len(j.Key) > 512:
		return invalid(fmt.Sprintf("a key of %d bytes is more than 512", len(j.Key)), "use an id, or a hash of what it is made of")
	case len(j.DedupKey) > 256:
		return invalid(fmt.Sprintf("an idempotency key of %d bytes is more than 256", len(j.DedupKey)), "a UUID has 36")
	case len(j.Callback) > MaxCallback:
		return invalid(fmt.Sprintf("a callback of %d bytes is more than %d", len(j.Callback), MaxCallback), "send a shorter URL")
	case j.Priority < -9 || j.Priority > 9:
		return invalid(fmt.Sprintf("priority %d is not from -9 to 9", j.Priority), "0 is ordinary, higher is earlier")
	case j.headerSize() > maxHeader:
		return invalid(fmt.Sprintf("a header of more than %d bytes", maxHeader), "keep the fields the instance needs")
	case !j.Expires.IsZero() && !j.Expires.After(now):
		return invalid("its time to live is over already", "look at the clocks of the client and of this machine")
	case !j.Expires.IsZero() && j.Expires.Before(j.NotBefore):
		return invalid("it would expire before it may start", "let expires be after not-before")
	}
	return nil
}

// MaxCallback is how long the URL of a callback may be.
const MaxCallback = 2048

// maxHeader keeps method, target and header within a commit, whatever the body does.
const maxHeader = 64 << 10

func (j Job) headerSize() int { return int(j.Size()) - len(j.Request.Body) }

// Ready is j with what Enqueue fills in at now.
func (j Job) Ready(p Policy, now time.Time) Job {
	if j.ID == (ID{}) {
		j.ID = NewID(now)
	}
	j.Accepted = now.Round(0)
	if j.Expires.IsZero() && p.TTL > 0 {
		j.Expires = later(now, j.NotBefore).Add(p.TTL).Round(0)
	}
	return j
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Receipt is what Enqueue has acknowledged.
type Receipt struct {
	ID        ID
	Duplicate bool  // it was there already, under the same idempotency key
	Revision  int64 // of the engine, after which it is there
}
