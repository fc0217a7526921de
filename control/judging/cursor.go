package judging

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/edge/sketch"
)

// A Cursor is how far a counter of one edge was counted.
type Cursor struct {
	Assigned uint64        `json:"assigned"`
	Requests uint64        `json:"requests"`
	Failed   uint64        `json:"failed"`
	Users    uint64        `json:"users,omitempty"`
	Hurt     uint64        `json:"hurt,omitempty"`
	Latency  sketch.Counts `json:"latency,omitzero"`
	Seen     time.Time     `json:"seen"`
}

// maxCursors bounds what is remembered of edges that are gone.
const maxCursors = 512

// forgetAfter is how long a counter must not have been seen before it may be forgotten: longer than an edge tells it.
const forgetAfter = time.Hour

// cursorKey names a counter: an edge's life, and what it counts.
func cursorKey(c *semper.ArmCounts) string {
	return strings.Join([]string{c.Edge, string(c.Pool), c.Rollout, string(c.Release), string(c.Arm)}, "|")
}

// moved is what an arm did since its cursor.
type moved struct {
	assigned, requests, failed int64
	users, hurt, risk          int64
	latency                    sketch.Counts
}

// advance reads what c has beyond the cursor, and moves it there. What cannot be changes nothing. Counters are not read all at one instant: of
// more failures than ended requests the rest is left for the next time.
func (at *Cursor) advance(c *semper.ArmCounts, now time.Time) (moved, error) {
	var latency sketch.Counts
	if len(c.Latency) > 0 {
		if err := latency.UnmarshalBinary(c.Latency); err != nil {
			return moved{}, fmt.Errorf("the latencies of %s: %w", cursorKey(c), err)
		}
	}
	for _, n := range []struct {
		what     string
		was, now uint64
	}{
		{"assigned requests", at.Assigned, c.Assigned}, {"requests", at.Requests, c.Requests}, {"failed requests", at.Failed, c.Failed},
		{"users", at.Users, c.Users}, {"users who met an error", at.Hurt, c.Hurt}, {"latencies", at.Latency.Count(), latency.Count()},
	} {
		if n.now < n.was || n.now > math.MaxInt64 {
			return moved{}, fmt.Errorf("%s of %s went from %d to %d: counters of one life of an edge only grow", n.what, cursorKey(c), n.was, n.now)
		}
	}
	d := moved{assigned: int64(c.Assigned - at.Assigned), requests: int64(c.Requests - at.Requests), users: int64(c.Users - at.Users), latency: latency.Sub(at.Latency)}
	if d.latency.Count() != latency.Count()-at.Latency.Count() {
		return moved{}, fmt.Errorf("the latencies of %s are not those of before and some more", cursorKey(c))
	}
	d.failed = min(int64(c.Failed-at.Failed), d.requests)
	d.risk = int64(c.Users) - int64(at.Hurt)
	d.hurt = max(0, min(int64(c.Hurt-at.Hurt), d.risk))
	*at = Cursor{
		Assigned: c.Assigned, Requests: c.Requests, Failed: at.Failed + uint64(d.failed), Users: c.Users, Hurt: at.Hurt + uint64(d.hurt),
		Latency: latency, Seen: now,
	}
	return d, nil
}

func (d *moved) add(o moved) {
	d.assigned += o.assigned
	d.requests += o.requests
	d.failed += o.failed
	d.users += o.users
	d.hurt += o.hurt
	d.risk += o.risk
	d.latency.Merge(o.latency)
}

// forget drops cursors of edges that are long gone, where there are too many.
func (r *Record) forget(now time.Time) {
	if len(r.Cursors) <= maxCursors {
		return
	}
	var gone []string
	for key, c := range r.Cursors {
		if now.Sub(c.Seen) > forgetAfter {
			gone = append(gone, key)
		}
	}
	slices.SortFunc(gone, func(a, b string) int { return r.Cursors[a].Seen.Compare(r.Cursors[b].Seen) })
	for _, key := range gone[:min(len(gone), len(r.Cursors)-maxCursors)] {
		delete(r.Cursors, key)
	}
}
