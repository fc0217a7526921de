package autoscale

import (
	"slices"
	"strings"
	"testing"
	"time"

	"semper"
)

func TestPoliciesThatMeanNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p              Policy
		requests, jobs bool
		keys           string // of the faults
	}{
		{Policy{Min: 1, Max: 10}, true, false, ""},
		{Policy{Min: 0, Max: 10}, true, true, ""},
		{Policy{Min: 0, Max: 10}, false, false, "-"},
		{Policy{Min: 1}, true, false, "max"},
		{Policy{Min: -1, Max: 3}, true, false, "min"},
		{Policy{Min: 4, Max: 3}, true, false, "min"},
		{Policy{Min: 4, Max: 1001}, true, false, "max"},
		{Policy{Max: 3, QueueDepth: 3}, true, false, "queue_depth"},
		{Policy{Max: 3, QueueAge: 3}, true, false, "queue_age"},
		{Policy{Max: 3, InFlight: 3}, false, true, "in_flight"},
		{Policy{Max: 3, InFlight: -3}, true, true, "in_flight"},
		{Policy{Min: 1, Max: 3, ToZeroAfter: 3}, true, true, "to_zero_after"},
		{Policy{Max: 3, Down: Pace{After: semper.Duration(25 * time.Hour)}, Up: Pace{Step: -1}}, true, true, "down.after up.step"},
	} {
		var keys []string
		for _, f := range c.p.WithDefaults(c.requests, c.jobs).Check(c.requests, c.jobs) {
			if f.Message == "" {
				t.Errorf("%+v: a fault without a word", c.p)
			}
			if f.Key == "" {
				f.Key = "-"
			}
			keys = append(keys, f.Key)
		}
		slices.Sort(keys)
		if got := strings.Join(keys, " "); got != c.keys {
			t.Errorf("%+v: faults %q, want %q", c.p, got, c.keys)
		}
	}
}

func TestAPolicyIsKept(t *testing.T) {
	t.Parallel()
	p := Policy{Min: 0, Max: 7, InFlight: 3, Down: Pace{Step: 2}}.WithDefaults(true, true)
	got, ok := Of(semper.Service{Autoscale: p.Encode()})
	if !ok || got != p {
		t.Errorf("%+v became %+v", p, got)
	}
	for _, bad := range []string{"", "{", `{"min":1}`, `"x"`} {
		if _, ok := Of(semper.Service{Autoscale: []byte(bad)}); ok {
			t.Errorf("%q is a policy", bad)
		}
	}
	if got := []int{p.Within(0), p.Within(3), p.Within(9)}; !slices.Equal(got, []int{1, 3, 7}) {
		t.Errorf("within: %v", got)
	}
}
