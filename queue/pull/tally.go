package pull

import (
	"cmp"
	"slices"
	"time"

	"semper"
	"semper/edge/sketch"
)

// A tallyKey names a tally among those of a service.
type tallyKey struct {
	rollout string
	release semper.ReleaseName
	arm     semper.Arm
}

// A tally is what one side's attempts came to. The desk's lock guards it.
type tally struct {
	assigned, missed, gone, ended, failed uint64

	latency sketch.Sketch
	used    time.Time
}

// keptFor is how long a tally is told after its last job: a judge that is started again reads the end of it.
const keptFor = 10 * time.Minute

// tallies are those of a desk.
type tallies map[tallyKey]*tally

func (all tallies) of(k tallyKey, now time.Time) *tally {
	t := all[k]
	if t == nil {
		t = &tally{}
		all[k] = t
	}
	t.used = now
	return t
}

// over counts an attempt that has ended at the queue.
func (t *tally) over(took time.Duration, failed bool) {
	t.ended++
	t.latency.Add(took)
	if failed {
		t.failed++
	}
}

// counts are the tallies in the words in which edges tell theirs.
func (all tallies) counts(edge string, service semper.PoolKey, keep func(tallyKey) bool, now time.Time) []semper.ArmCounts {
	out := make([]semper.ArmCounts, 0, len(all))
	for k, t := range all {
		if now.Sub(t.used) > keptFor && !keep(k) {
			delete(all, k)
			continue
		}
		c := semper.ArmCounts{
			Edge: edge, Pool: service, Rollout: k.rollout, Release: k.release, Arm: k.arm,
			Assigned: t.assigned, Requests: t.ended, Failed: t.failed, Missed: t.missed, Gone: t.gone,
		}
		var latency sketch.Counts
		t.latency.ReadInto(&latency)
		if latency.Count() > 0 {
			c.Latency, _ = latency.MarshalBinary() //nolint:errcheck // it never fails
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b semper.ArmCounts) int {
		return cmp.Or(cmp.Compare(a.Rollout, b.Rollout), cmp.Compare(a.Release, b.Release), cmp.Compare(a.Arm, b.Arm))
	})
	return out
}
