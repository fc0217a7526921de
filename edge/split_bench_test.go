package edge

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/edge/route/sticky"
)

type splitting struct {
	split *semper.Split
	head  string
}

// splits are the ways to split a pool, with a head of a request that is split so.
func splits(tb testing.TB) map[string]splitting {
	tb.Helper()
	s, err := sticky.New("semper-user", stickyKey, nil)
	if err != nil {
		tb.Fatal(err)
	}
	user := "semper-user=" + string(s.Append(nil, sticky.Tag{7}, sticky.Tag{}, time.Now().Add(7*24*time.Hour)))
	by := func(key string) *semper.Split {
		return &semper.Split{Rollout: "ro1", By: key, Arms: []semper.ArmShare{{Arm: semper.ArmCandidate, Share: .05}, {Arm: semper.ArmBaseline, Share: .05}}}
	}
	with := func(field string) string { return strings.TrimSuffix(ordinaryHead, "\r\n") + field + "\r\n\r\n" }
	return map[string]splitting{
		"none": {nil, ordinaryHead}, "none, session": {nil, with("Cookie: theme=dark; session=0123456789abcdef")}, "none, user": {nil, with("Cookie: " + user)}, "chance": {by(""), ordinaryHead}, "client": {by("client"), ordinaryHead},
		"cookie": {by("cookie:session"), with("Cookie: theme=dark; session=0123456789abcdef")}, "new user": {by("user"), ordinaryHead},
		"user": {by("user"), with("Cookie: " + user)},
	}
}

func TestASplitAllocatesNothing(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	for name, s := range splits(t) {
		c := newCarriageOf(t, s.split, s.head)
		if n := testing.AllocsPerRun(1000, func() {
			if !c.carry() {
				t.Error("not carried")
			}
		}); n != 0 {
			t.Errorf("by %s: %v allocations", name, n)
		}
	}
}

// BenchmarkSplit is what a split adds to BenchmarkSession with the same head, in nanoseconds a request, the median of many short turns: the ways take turns, so that what else the
// machine does meets them all. A request costs the edge about 12 µs on the whole, most of it in the kernel: see edge.md, 2.1.
func BenchmarkSplit(b *testing.B) {
	const turn = 100
	took, carriages := map[string][]float64{}, map[string]*carriage{}
	for name, s := range splits(b) {
		carriages[name] = newCarriageOf(b, s.split, s.head)
		carriages[name].carry()
	}
	for b.Loop() {
		for name, c := range carriages {
			began := time.Now()
			for range turn {
				c.carry()
			}
			took[name] = append(took[name], float64(time.Since(began))/turn)
		}
	}
	median := func(name string) float64 {
		slices.Sort(took[name])
		return took[name][len(took[name])/2]
	}
	same := map[string]string{"cookie": "none, session", "user": "none, user"} // their head is longer, which is no cost of the split
	for name := range carriages {
		if !strings.HasPrefix(name, "none") {
			b.ReportMetric(median(name)-median(cmp.Or(same[name], "none")), "ns/"+strings.ReplaceAll(name, " ", "-"))
		}
	}
	b.ReportMetric(median("none"), "ns/none")
}
