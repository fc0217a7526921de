package load

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is how one request ended.
type Outcome string

// The outcomes. Everything but OK is a failed request.
const (
	OK         Outcome = "ok"
	Refused    Outcome = "refused"     // nobody listened
	Reset      Outcome = "reset"       // the connection ended before the response began
	Short      Outcome = "short"       // the connection ended within the response
	Timeout    Outcome = "timeout"     // no whole response within Config.Timeout
	Status     Outcome = "status"      // a status other than 200
	Mixed      Outcome = "mixed"       // not entirely from one release
	OldRelease Outcome = "old-release" // sent after an acknowledged cutover, answered by another release
	Malformed  Outcome = "malformed"   // not HTTP
	Unanswered Outcome = "unanswered"  // a WebSocket broke, without a close frame, with a message in hand
)

// maxSamples bounds the failures kept in words.
const maxSamples = 50

// account is what became of every request. All methods are safe for concurrent use.
type account struct {
	requests   atomic.Uint64 // ended ones
	closedIdle atomic.Uint64 // kept connections the server closed between two requests
	section    atomic.Pointer[section]

	mu       sync.Mutex // guards the following
	sections map[string]*section
	failures map[Outcome]uint64
	releases map[string]uint64
	samples  []string
	target   string      // release production is on, or moves to
	cutover  time.Time   // when that was acknowledged; zero while it is not known
	others   []time.Time // while it is not: when requests were sent that another release answered
}

// A section is a named part of a run with its own latencies.
type section struct {
	latency Histogram // of quick requests on kept connections
	order   int       // of its first time
	fresh   Histogram // of quick requests with a new connection each, the connecting included
	mu      sync.Mutex
	open    time.Time     // since when; zero while another section is
	elapsed time.Duration // of the times before
}

func newAccount() *account {
	a := &account{sections: map[string]*section{}, failures: map[Outcome]uint64{}, releases: map[string]uint64{}}
	a.enter("")
	return a
}

// enter makes name the section that requests ending from now on belong to.
func (a *account) enter(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if old := a.section.Load(); old != nil {
		old.mu.Lock()
		old.elapsed += now.Sub(old.open)
		old.open = time.Time{}
		old.mu.Unlock()
	}
	s := a.sections[name]
	if s == nil {
		s = &section{order: len(a.sections)}
		a.sections[name] = s
	}
	s.mu.Lock()
	s.open = now
	s.mu.Unlock()
	a.section.Store(s)
}

func (s *section) duration(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.IsZero() {
		return s.elapsed
	}
	return s.elapsed + now.Sub(s.open)
}

// served counts a whole response of release to a request sent at the given time.
func (a *account) served(release string, sent time.Time, what string) Outcome {
	a.requests.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.releases[release]++
	if a.target == "" || release == a.target {
		return OK
	}
	if a.cutover.IsZero() {
		a.others = append(a.others, sent)
		return OK
	}
	if sent.After(a.cutover) {
		a.fail(OldRelease, fmt.Sprintf("%s: %s answered %v after the cutover to %s", what, release, sent.Sub(a.cutover), a.target))
		return OldRelease
	}
	return OK
}

// failed counts a request that ended in o.
func (a *account) failed(o Outcome, what string, err error) {
	a.requests.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail(o, fmt.Sprintf("%s: %v", what, err))
}

// fail needs mu.
func (a *account) fail(o Outcome, words string) {
	a.failures[o]++
	if len(a.samples) < maxSamples {
		a.samples = append(a.samples, fmt.Sprintf("%s %s: %s", time.Now().Format("15:04:05.000"), o, words))
	}
}

func (a *account) deploying(target string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.target, a.cutover, a.others = target, time.Time{}, a.others[:0]
}

func (a *account) cutOver(at time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	late := 0
	for _, sent := range a.others {
		if sent.After(at) {
			late++
			a.fail(OldRelease, fmt.Sprintf("sent %v after the cutover to %s", sent.Sub(at), a.target))
		}
	}
	a.cutover, a.others = at, a.others[:0]
	return late
}
