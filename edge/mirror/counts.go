package mirror

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"semper"
	"semper/edge/metrics"
	"semper/edge/mirror/told"
)

// A reason is why a sampled request is no pair.
type reason uint8

// The reasons. Up to dropped, requests are skipped for what they are, and from then on dropped.
const (
	none      reason = iota
	method           // it is not safe
	upgrade          // it asks for another protocol
	ranged           // it asks for parts
	condition        // it is conditional
	content          // its content is larger than is kept, or did not end before its answer began
	stream           // its answer has no end
	large            // the client's answer is larger than is compared
	dropped          // none; what follows it is dropped
	busy             // too many copies in flight
	bytes            // too many bytes kept
	behind           // too many pairs wait for the worker
	noClient         // the client got no whole answer of an instance
	nobody           // no instance was there for a copy, or it was cut at a drain deadline
	unread           // the copy could not be made
	reasons
)

var reasonNames = [reasons]string{
	method: "method", upgrade: "upgrade", ranged: "range", condition: "conditional", content: "content", stream: "stream", large: "large",
	busy: "busy", bytes: "bytes", behind: "behind", noClient: "no-answer", nobody: "no-instance", unread: "unreadable",
}

// tally counts what becomes of sampled requests.
type tally struct {
	sampled atomic.Uint64
	by      [reasons]atomic.Uint64
}

// pairs counts what was compared. Its numbers and those of the board are of one moment.
type pairs struct {
	candidate, baseline, expected, slower, faster uint64
	unanswered                                    [2]uint64
}

// Counts are what was counted since the edge began, in the order of pool, rollout and release.
func (m *Mirrors) Counts(now time.Time) []told.Counts {
	all := m.list(now)
	out := make([]told.Counts, len(all))
	for i, one := range all {
		out[i] = one.counts()
	}
	return out
}

func (m *Mirrors) list(now time.Time) []*Mirror {
	m.mu.Lock()
	m.forgetLocked(now)
	all := make([]*Mirror, 0, len(m.all))
	for _, one := range m.all {
		all = append(all, one)
	}
	m.mu.Unlock()
	slices.SortFunc(all, func(a, b *Mirror) int {
		return cmp.Or(cmp.Compare(a.key.pool, b.key.pool), cmp.Compare(a.key.rollout, b.key.rollout), cmp.Compare(a.key.release, b.key.release))
	})
	return all
}

// counts reads what a request is counted in later before what it is counted in first, so that no reading has more ends than beginnings.
func (m *Mirror) counts() told.Counts {
	c := told.Counts{Edge: m.edge.edge, Pool: m.key.pool, Rollout: m.key.rollout, Release: m.key.release}
	m.read(&c)
	for r := range reasons {
		n := m.tally.by[r].Load()
		switch {
		case n == 0:
		case r < dropped:
			c.Skipped = put(c.Skipped, r, n)
		default:
			c.Dropped = put(c.Dropped, r, n)
		}
	}
	c.Sampled = m.tally.sampled.Load()
	for i, to := range []*[]byte{&c.Latency, &c.LatencyAgain} {
		if l := m.latency[i].Read(); l.Count() > 0 {
			*to, _ = l.MarshalBinary() //nolint:errcheck // it never fails
		}
	}
	for _, r := range m.compare.Stale() {
		c.Stale = append(c.Stale, r.Path)
	}
	return c
}

func put(m map[string]uint64, r reason, n uint64) map[string]uint64 {
	if m == nil {
		m = make(map[string]uint64)
	}
	m[reasonNames[r]] = n
	return m
}

// read reads the board.
func (m *Mirror) read(c *told.Counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, p := &m.board, &m.pairs
	c.Pairs, c.Copies, c.Lost, c.Cut = uint64(b.Pairs), uint64(b.Copies), uint64(b.Lost), uint64(b.Cut)
	c.Candidate, c.Baseline, c.Expected, c.Slower, c.Faster = p.candidate, p.baseline, p.expected, p.slower, p.faster
	c.Unanswered, c.UnansweredAgain = p.unanswered[0], p.unanswered[1]
	for _, at := range b.Places {
		c.Places = append(c.Places, at.Tally())
	}
}

// Families show what becomes of sampled requests, and what is kept now.
func (m *Mirrors) Families() []metrics.Family {
	each := func(f func(one *Mirror, c *told.Counts, yield func(float64, ...metrics.Label))) func(func(float64, ...metrics.Label)) {
		return func(yield func(float64, ...metrics.Label)) {
			for _, one := range m.list(time.Now()) {
				c := one.counts()
				f(one, &c, func(v float64, more ...metrics.Label) { yield(v, append(one.labels(), more...)...) })
			}
		}
	}
	reason := func(what string, of func(*told.Counts) map[string]uint64) metrics.Family {
		return metrics.Family{
			Name: "semper_edge_shadow_" + what + "_total", Kind: metrics.Counter, Help: "Sampled requests that were " + what + " instead of being copied and compared, by reason.",
			Collect: each(func(_ *Mirror, c *told.Counts, yield func(float64, ...metrics.Label)) {
				for r, n := range of(c) {
					yield(float64(n), metrics.Label{Name: "reason", Value: r})
				}
			}),
		}
	}
	return []metrics.Family{
		{
			Name: "semper_edge_shadow_sampled_total", Kind: metrics.Counter, Help: "Requests that were to be copied to a candidate.",
			Collect: each(func(_ *Mirror, c *told.Counts, yield func(float64, ...metrics.Label)) {
				yield(float64(c.Sampled))
			}),
		},
		{
			Name: "semper_edge_shadow_pairs_total", Kind: metrics.Counter,
			Help: "Answers to copies that were compared, by whose alone differs from the client's: the candidate's, that of a second copy of the current release, or else.",
			Collect: each(func(_ *Mirror, c *told.Counts, yield func(float64, ...metrics.Label)) {
				yield(float64(c.Candidate), metrics.Label{Name: "differs", Value: "candidate"})
				yield(float64(c.Baseline), metrics.Label{Name: "differs", Value: "baseline"})
				yield(float64(c.Pairs-c.Candidate-c.Baseline), metrics.Label{Name: "differs", Value: "else"})
			}),
		},
		reason("skipped", func(c *told.Counts) map[string]uint64 { return c.Skipped }),
		reason("dropped", func(c *told.Counts) map[string]uint64 { return c.Dropped }),
		{
			Name: "semper_edge_shadow_in_flight", Kind: metrics.Gauge, Help: "Copies in flight.",
			Collect: each(func(one *Mirror, _ *told.Counts, yield func(float64, ...metrics.Label)) {
				yield(float64(one.flying.Load()))
			}),
		},
		{
			Name: "semper_edge_shadow_kept_bytes", Kind: metrics.Gauge, Help: "Bytes of requests and answers that are kept to be compared.",
			Collect: each(func(one *Mirror, _ *told.Counts, yield func(float64, ...metrics.Label)) {
				yield(float64(one.kept.Load()))
			}),
		},
	}
}

// labels have the rollout too: of one release there may be two after each other.
func (m *Mirror) labels() []metrics.Label {
	k := metrics.Key{App: m.app, Pool: string(m.key.pool), Release: string(m.key.release), Arm: string(semper.ArmCandidate)}
	return append(k.Labels(), metrics.Label{Name: "rollout", Value: m.key.rollout})
}
