package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// A Report is what became of everything sent so far.
type Report struct {
	Seconds    float64            `json:"seconds"`
	Requests   uint64             `json:"requests"` // ended, WebSocket messages included
	Failed     uint64             `json:"failed"`
	Failures   map[Outcome]uint64 `json:"failures"`
	ClosedIdle uint64             `json:"closed_idle"`       // kept connections the server closed between two requests; not failures
	Samples    []string           `json:"samples,omitempty"` // the first failures in words
	Releases   map[string]uint64  `json:"releases"`          // answers by release
	Sections   map[string]Latency `json:"sections"`
	Sockets    SocketReport       `json:"websockets"`
}

// Latency of the quick requests of one section, in milliseconds.
type Latency struct {
	Requests uint64  `json:"requests"`
	Rate     float64 `json:"per_second"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	P999     float64 `json:"p999_ms"`
	Max      float64 `json:"max_ms"`
	FreshP50 float64 `json:"new_connection_p50_ms"`
	FreshP99 float64 `json:"new_connection_p99_ms"`
	order    int     // of the section's first time
}

// SocketReport is what became of WebSockets.
type SocketReport struct {
	Messages   uint64 `json:"messages"`
	HandedOver uint64 `json:"handed_over"` // closed with 1001 or 1012 between two messages
	Resent     uint64 `json:"resent"`      // a message crossed such a close; sent again and answered
	Broken     uint64 `json:"broken"`      // ended without a close frame, nothing in hand
	Unanswered uint64 `json:"unanswered"`  // ended without a close frame, a message in hand (a failure)
	Unopened   uint64 `json:"unopened"`    // failed handshakes (a failure)
}

// Report of everything so far. The generator may still run.
func (g *Generator) Report() Report {
	a := g.account
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	r := Report{
		Seconds:    now.Sub(g.began).Seconds(),
		Requests:   a.requests.Load(),
		ClosedIdle: a.closedIdle.Load(),
		Failures:   maps.Clone(a.failures),
		Samples:    slices.Clone(a.samples),
		Releases:   maps.Clone(a.releases),
		Sections:   map[string]Latency{},
		Sockets: SocketReport{
			Messages: g.sockets.messages.Load(), HandedOver: g.sockets.handedOver.Load(),
			Resent: g.sockets.resent.Load(), Broken: g.sockets.broken.Load(),
			Unanswered: g.sockets.unanswered.Load(), Unopened: g.sockets.unopened.Load(),
		},
	}
	for _, n := range a.failures {
		r.Failed += n
	}
	for name, s := range a.sections {
		if s.latency.Count()+s.fresh.Count() > 0 {
			r.Sections[name] = s.report(now)
		}
	}
	return r
}

func (s *section) report(now time.Time) Latency {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	l, f := &s.latency, &s.fresh
	return Latency{
		Requests: l.Count(), Rate: float64(l.Count()) / s.duration(now).Seconds(),
		P50: ms(l.Quantile(0.5)), P99: ms(l.Quantile(0.99)), P999: ms(l.Quantile(0.999)), Max: ms(l.Max()),
		FreshP50: ms(f.Quantile(0.5)), FreshP99: ms(f.Quantile(0.99)), order: s.order,
	}
}

// Print writes the report for a person.
func (r Report) Print(w io.Writer) {
	fmt.Fprintf(w, "%d requests in %.1f s, %d failed\n", r.Requests, r.Seconds, r.Failed)
	for _, o := range slices.Sorted(maps.Keys(r.Failures)) {
		fmt.Fprintf(w, "  %-12s %d\n", o, r.Failures[o])
	}
	for _, name := range slices.SortedFunc(maps.Keys(r.Sections), func(a, b string) int { return r.Sections[a].order - r.Sections[b].order }) {
		s := r.Sections[name]
		fmt.Fprintf(w, "  %-10s %8.0f/s  p50 %.2f ms  p99 %.2f ms  p99.9 %.2f ms  max %.2f ms  new connection p50 %.2f ms, p99 %.2f ms\n",
			name, s.Rate, s.P50, s.P99, s.P999, s.Max, s.FreshP50, s.FreshP99)
	}
	if r.ClosedIdle > 0 {
		fmt.Fprintf(w, "  %d kept connections were closed between two requests\n", r.ClosedIdle)
	}
	for _, release := range slices.Sorted(maps.Keys(r.Releases)) {
		fmt.Fprintf(w, "  answered by %-6s %d\n", release, r.Releases[release])
	}
	if s := r.Sockets; s != (SocketReport{}) {
		fmt.Fprintf(w, "  websockets: %d messages, %d handed over, %d resent, %d broken, %d unanswered, %d unopened\n",
			s.Messages, s.HandedOver, s.Resent, s.Broken, s.Unanswered, s.Unopened)
	}
	for _, line := range r.Samples {
		fmt.Fprintf(w, "  %s\n", line)
	}
}
