package judging

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"semper/edge/mirror/told"
	"semper/verify"
	"semper/verify/diff"
)

// maxPlaces bounds the places at which answers differ that a record has.
const maxPlaces = 200

// A Shadow is what is known of the copies of requests: the places at which answers differ, weighed over all edges.
type Shadow struct {
	Board   diff.Board               `json:"board"`
	Cursors map[string]*ShadowCursor `json:"cursors"`
}

// A ShadowCursor is how far one edge's counters were counted.
type ShadowCursor struct {
	Counts told.Counts   `json:"counts"`           // without its places
	Places []placeCursor `json:"places,omitempty"` // in the order of the edge
	Seen   time.Time     `json:"seen"`
}

// placeCursor is seen, noise, only the candidate's, only the second copy's.
type placeCursor [4]int64

func cursorOf(t *diff.Tally) placeCursor {
	return placeCursor{t.Seen, t.Noise, t.Candidate, t.Baseline}
}

// compare moves the cursors of shadows, and returns what is new at each edge. After the warm-up it counts the differences by place.
func (j *Judge) compare(l Look) (out []verify.Batch, problems []error) {
	r := &j.r
	all := slices.Clone(l.Shadows)
	slices.SortStableFunc(all, func(a, b told.Counts) int { return cmp.Compare(shadowKey(&a), shadowKey(&b)) })
	for i := range all {
		c := &all[i]
		if c.Rollout != r.Rollout || c.Release != r.To || !strings.HasPrefix(string(c.Pool), r.App+"/"+r.Environment+"/") {
			continue
		}
		if r.Shadowed == nil {
			r.Shadowed = &Shadow{Board: diff.Board{Room: maxPlaces}, Cursors: make(map[string]*ShadowCursor)}
		}
		key := shadowKey(c)
		at := r.Shadowed.Cursors[key]
		if at == nil {
			at = new(ShadowCursor)
		}
		b, found, err := at.advance(c)
		if err != nil {
			problems = append(problems, fmt.Errorf("pairs of responses at %s: %w", c.Edge, err))
			continue
		}
		fresh := int64(c.Pairs - at.Counts.Pairs)
		at.keep(c, l.At)
		r.Shadowed.Cursors[key] = at
		if j.warm(l.At) {
			r.Shadowed.Board.Take(fresh, b.Candidate.Requests, found)
		}
		if b.Candidate.Requests > 0 {
			out = append(out, b)
		}
	}
	return out, problems
}

func shadowKey(c *told.Counts) string {
	return strings.Join([]string{c.Edge, string(c.Pool), c.Rollout, string(c.Release)}, "|")
}

// advance is what c has beyond the cursor. An edge's places only become more, and stay in their order.
func (at *ShadowCursor) advance(c *told.Counts) (b verify.Batch, found []diff.Tally, err error) {
	n := int64(c.Copies - at.Counts.Copies)
	b = verify.Batch{
		Candidate: verify.Arm{Requests: n, Bad: int64(c.Candidate - at.Counts.Candidate)},
		Baseline:  verify.Arm{Requests: n, Bad: int64(c.Baseline - at.Counts.Baseline)},
	}
	if b.Check() != nil || c.Pairs < at.Counts.Pairs || len(c.Places) < len(at.Places) {
		return b, nil, fmt.Errorf("they went from %d to %d, at %d and %d places: counters of one life of an edge only grow",
			at.Counts.Pairs, c.Pairs, len(at.Places), len(c.Places))
	}
	for i, t := range c.Places {
		var was placeCursor
		if i < len(at.Places) {
			was = at.Places[i]
		}
		now := cursorOf(&t)
		for k := range now {
			if now[k] < was[k] {
				return b, nil, fmt.Errorf("at %s they went from %v to %v: counters of one life of an edge only grow", t.Path, was, now)
			}
		}
		if now == was {
			continue
		}
		t.Seen, t.Noise, t.Candidate, t.Baseline = now[0]-was[0], now[1]-was[1], now[2]-was[2], now[3]-was[3]
		found = append(found, t)
	}
	return b, found, nil
}

// keep moves the cursor to c.
func (at *ShadowCursor) keep(c *told.Counts, now time.Time) {
	at.Counts, at.Seen = *c, now
	at.Counts.Places, at.Counts.Latency, at.Counts.LatencyAgain = nil, nil, nil
	at.Places = at.Places[:0]
	for i := range c.Places {
		at.Places = append(at.Places, cursorOf(&c.Places[i]))
	}
}

// Total is what all edges have counted, without places. A rule is stale where it is at every edge.
func (s *Shadow) Total() (sum told.Counts) {
	stale := make(map[string]int)
	for _, key := range slices.Sorted(maps.Keys(s.Cursors)) {
		c := &s.Cursors[key].Counts
		sum.Rollout, sum.Release = c.Rollout, c.Release
		for _, n := range []struct {
			sum *uint64
			n   uint64
		}{
			{&sum.Sampled, c.Sampled}, {&sum.Pairs, c.Pairs}, {&sum.Copies, c.Copies}, {&sum.Candidate, c.Candidate}, {&sum.Baseline, c.Baseline},
			{&sum.Expected, c.Expected}, {&sum.Slower, c.Slower}, {&sum.Faster, c.Faster}, {&sum.Unanswered, c.Unanswered},
			{&sum.UnansweredAgain, c.UnansweredAgain}, {&sum.Lost, c.Lost}, {&sum.Cut, c.Cut},
		} {
			*n.sum += n.n
		}
		sum.Skipped, sum.Dropped = join(sum.Skipped, c.Skipped), join(sum.Dropped, c.Dropped)
		for _, path := range c.Stale {
			stale[path]++
		}
	}
	for _, path := range slices.Sorted(maps.Keys(stale)) {
		if stale[path] == len(s.Cursors) {
			sum.Stale = append(sum.Stale, path)
		}
	}
	return sum
}

func join(a, b map[string]uint64) map[string]uint64 {
	if a == nil && len(b) > 0 {
		a = make(map[string]uint64)
	}
	for k, n := range b {
		a[k] += n
	}
	return a
}

// fresh says where the candidate's answers differ as the current release's never have, too seldom yet to prove anything; empty for nowhere.
func (s *Shadow) fresh() string {
	if s == nil {
		return ""
	}
	if all := s.Board.Words(diff.Novel); len(all) > 0 {
		return all[0]
	}
	return ""
}
