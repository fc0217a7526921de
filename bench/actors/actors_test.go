package main

import (
	"maps"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGoSide runs every group with tiny counts, and checks that each row of the table finds its figure.
func TestGoSide(t *testing.T) {
	t.Parallel()
	if got, want := slices.Sorted(maps.Keys(groups)), slices.Sorted(slices.Values(order)); !slices.Equal(got, want) {
		t.Fatalf("groups %v, order %v", got, want)
	}
	all := figures{}
	for _, name := range order {
		groups[name](scale(10_000), all)
	}
	for _, r := range rows {
		for _, key := range []string{r.actor, r.plain, r.base} {
			if v, ok := all[key]; key != "" && (!ok || v <= 0 && r.unit == "ns" && key != "timers_cpu") {
				t.Errorf("%q: no figure %q (%v)", r.what, key, v)
			}
		}
	}
}

func TestCompareTakesTheMedianOfRatios(t *testing.T) {
	t.Parallel()
	otp := samples{"call": {100, 200, 1000}, "call_many": {100, 300, 100}, "call_alone": {100, 100, 100}}
	here := samples{"call": {60, 80, 500}, "call_many": {50, 60, 70}, "call_alone": {50, 50, 50}}
	all := compare(otp, here)
	if len(all) != 2 {
		t.Fatalf("%d rows, want the two that were measured", len(all))
	}
	if r := all[0]; r.Ratio != (spread{0.5, 0.4, 0.6}) || !*r.Reached {
		t.Errorf("call: %+v, want the median of 0.6, 0.4, 0.5, which reaches 0.5", r.Ratio)
	}
	if r := all[1]; r.Ratio != (spread{1.2, 1, 1.4}) || *r.Reached {
		t.Errorf("call beside many: %+v, want a growth of 1.2, which does not reach 1.15", r.Ratio)
	}
}
