package draw

import (
	"strings"
	"testing"
	"time"

	"semper/api"
	"semper/experiment"
	"semper/experiment/design"
	"semper/verify"
)

func TestIntervalsAreDrawn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		low, best, high, wide float64
		want                  string
	}{
		{-1, 0, 1, 1, "├──────────────●──────────────┤"},
		{.5, .75, 1, 1, "               │       ├──●───┤"},
		{-1, -.9, -.8, 1, "├─●┤           │               "},
		{1, 1, 1, 0, ""},
	} {
		if got := interval(tc.low, tc.best, tc.high, tc.wide); len([]rune(got)) != len([]rune(tc.want)) || tc.want != "" && (!strings.Contains(got, "●") || strings.IndexRune(got, '├') > strings.IndexRune(got, '┤')) {
			t.Errorf("%g to %g: %q, not %q", tc.low, tc.high, got, tc.want)
		}
	}
}

func TestAnExperimentSaysWhatFollows(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	low, best, high := .01, .04, .07
	f := experiment.Finding{Metric: "revenue", Role: design.RolePrimary, Variant: "green", Control: verify.Level{N: 5000, Mean: 10}, Treated: verify.Level{N: 5001, Mean: 10.4}, Lift: &verify.Bounded{Low: &low, Best: &best, High: &high}, E: 1234, Named: true, Better: true}
	x := api.ExperimentInfo{
		App: "bar", Environment: "production", Plan: design.Plan{Name: "checkout\x1b[2J"}, State: design.Decided, StartedAt: began, Winner: "green", Why: "green has more",
		Report: &experiment.Report{
			Outcome: experiment.Won, Why: "green has 4.0 % more", Alpha: .05, E: 1234, Full: true, Variants: []experiment.VariantReport{{Name: "control", Share: .5, Users: 5000}, {Name: "green", Share: .5, Users: 5001}},
			Findings: []experiment.Finding{f}, Segments: []experiment.Segment{{Name: "plan", Value: "pro", Findings: []experiment.Finding{f}}},
		},
	}
	text := strings.Join(Experiment(x, false, began.Add(time.Hour)), "\n")
	for _, want := range []string{"decided: green has more", "won  green has 4.0 % more", "5001", "+4.0 %  +1.0 to +7.0", "better", "●", "plan pro", "more users came"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") || !strings.Contains(strings.Join(Experiments([]api.ExperimentInfo{x}, false), "\n"), "10001") {
		t.Errorf("%q", text)
	}
}
