package verify

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var began = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func web() Plan {
	return Plan{WarmUp: 10 * time.Second, Metrics: []Metric{
		{Name: "errors", Kind: Errors, Weight: 2},
		{Name: "latency", Kind: Latency, Thresholds: []Threshold{{"p50", 20 * time.Millisecond, .3}, {"p99", 200 * time.Millisecond, .7}}},
		{Name: "memory", Kind: Gauge, Optional: true},
	}}
}

// a release, as its requests see it.
type release struct {
	errors, slow50, slow99 float64
	leak                   float64 // MB in each second
	requests               int64   // in each second
}

var sound = release{errors: .002, slow50: .5, slow99: .01, requests: 50}

// second is what both did in one.
func second(t *testing.T, j *Judge, r *rand.Rand, i int, c, b release) {
	t.Helper()
	at := began.Add(time.Duration(i) * time.Second)
	arms := func(pc, pb float64) Batch {
		return batch(c.requests, b.requests, binomial(r, c.requests, pc), binomial(r, b.requests, pb))
	}
	memory := [2]float64{200 + c.leak*float64(i) + r.NormFloat64(), 200 + b.leak*float64(i) + r.NormFloat64()}
	for name, s := range map[string]Sample{
		"errors":  {Counts: []Batch{arms(c.errors, b.errors)}},
		"latency": {Counts: []Batch{arms(c.slow50, b.slow50), arms(c.slow99, b.slow99)}},
		"memory":  {Values: &memory},
	} {
		if err := j.Observe(at, name, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Assigned(at, c.requests, b.requests); err != nil {
		t.Fatal(err)
	}
}

func judge(t *testing.T, p Plan) *Judge {
	t.Helper()
	j, err := NewJudge(p, began)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Split(.5); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	need := Need{Time: 5 * time.Minute, Requests: 1000}
	for i, tc := range []struct {
		name    string
		change  func(r *release)
		seconds int
		outcome Outcome
		cause   Cause
		why     string
	}{
		{"alike", func(*release) {}, 400, BetterOrEqual, "", "nothing speaks against"},
		{"a minute only", func(*release) {}, 60, Undecided, TooEarly, "still to come"},
		{"few requests", func(r *release) { r.requests = 1 }, 400, Undecided, TooEarly, "are asked for"},
		{"one error in a hundred more", func(r *release) { r.errors = .012 }, 400, Worse, "", "errors"},
		{"better", func(r *release) { r.errors, r.slow50 = 0, .2 }, 400, BetterOrEqual, "", "nothing"},
		{"slower in the middle", func(r *release) { r.slow50 = .65 }, 400, Worse, "", "p50"},
		{"slower at the end", func(r *release) { r.slow99 = .04 }, 400, Worse, "", "p99"},
		{"a leak", func(r *release) { r.leak = 1 }, 400, Worse, "", "memory"},
		{"no requests", func(r *release) { r.requests = 0 }, 400, Undecided, NoData, "the candidate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			j, r := judge(t, web()), seeded(uint64(400+i))
			c, b := sound, sound
			tc.change(&c)
			if c.requests != b.requests {
				b.requests = max(c.requests, 1)
				if c.requests == 0 {
					j.state.Split = &Shares{Want: []float64{1e-9, 1 - 1e-9}} // otherwise that would be said
				}
			}
			for i := range tc.seconds {
				second(t, j, r, i, c, b)
			}
			o, cause := j.Outcome(began.Add(time.Duration(tc.seconds)*time.Second), need)
			v := j.Verdict(began.Add(time.Duration(tc.seconds)*time.Second), need)
			if o != v.Outcome || cause != v.Cause {
				t.Errorf("asked in short it is %s %s, and %s %s in whole", o, cause, v.Outcome, v.Cause)
			}
			if v.Outcome != tc.outcome || v.Cause != tc.cause || !strings.Contains(v.Why, tc.why) {
				t.Errorf("%s %s: %s", v.Outcome, v.Cause, v.Why)
			}
			t.Logf("%.4g of %.4g: %s", v.E, v.Threshold, v.Why)
			if _, err := json.Marshal(v); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMismatchIsNoVerdict(t *testing.T) {
	t.Parallel()
	j := judge(t, web())
	for i := range 100 {
		if err := j.Assigned(began.Add(time.Duration(i)*time.Second), 60, 40); err != nil {
			t.Fatal(err)
		}
	}
	v := j.Verdict(began.Add(time.Hour), Need{})
	if v.Outcome != Undecided || v.Cause != Mismatch || !strings.Contains(v.Why, "50 %") || !strings.Contains(v.Why, "60 %") {
		t.Error(v.Outcome, v.Cause, v.Why)
	}
	// What was found before does not vanish when the split changes.
	if err := j.Split(.2); err != nil {
		t.Fatal(err)
	}
	if v := j.Verdict(began.Add(time.Hour), Need{}); v.Cause != Mismatch {
		t.Error(v.Cause)
	}
}

// Whatever the steps are, a state that was written down and read goes on as if nothing had been.
func TestResume(t *testing.T) {
	t.Parallel()
	whole, parts := judge(t, web()), judge(t, web())
	bad := sound
	bad.errors = .006
	for i := range 60 {
		if i == 30 {
			for _, j := range []*Judge{whole, parts} {
				if err := j.Split(.25); err != nil {
					t.Fatal(err)
				}
			}
		}
		second(t, whole, seeded(uint64(i)), i, bad, sound)
		second(t, parts, seeded(uint64(i)), i, bad, sound)
		b, err := json.Marshal(parts.State())
		if err != nil {
			t.Fatal(err)
		}
		var s State
		if err := json.Unmarshal(b, &s); err != nil {
			t.Fatal(err)
		}
		if parts, err = Resume(web(), s); err != nil {
			t.Fatal(err)
		}
		a, b2 := whole.Verdict(began, Need{}), parts.Verdict(began, Need{})
		if a.E != b2.E || a.Why != b2.Why {
			t.Fatalf("after %d: %v and %v", i, a, b2)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	j := judge(t, web())
	now := began.Add(time.Minute)
	ok := Sample{Counts: []Batch{batch(10, 10, 0, 1)}}
	if err := j.Observe(now, "errors", ok); err != nil {
		t.Fatal(err)
	}
	before, _ := json.Marshal(j.State())
	nan := [2]float64{math.NaN(), 1}
	for name, err := range map[string]error{
		"unknown":    j.Observe(now, "erors", ok),
		"old":        j.Observe(now.Add(-time.Second), "errors", ok),
		"negative":   j.Observe(now, "errors", Sample{Counts: []Batch{batch(10, 10, -1, 0)}}),
		"more bad":   j.Observe(now, "errors", Sample{Counts: []Batch{batch(10, 10, 11, 0)}}),
		"shape":      j.Observe(now, "errors", Sample{Values: &nan}),
		"nan":        j.Observe(now, "memory", Sample{Values: &nan}),
		"thresholds": j.Observe(now, "latency", ok),
		"split":      j.Split(1.5),
		"assigned":   j.Assigned(now, -1, 0),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
		if name == "old" && !errors.Is(err, ErrOld) {
			t.Error(err)
		}
	}
	if after, _ := json.Marshal(j.State()); string(after) != string(before) {
		t.Errorf("what was refused has changed the state:\n%s\n%s", before, after)
	}
	for name, p := range map[string]Plan{
		"empty": {}, "alpha": {Alpha: 1, Metrics: web().Metrics}, "twice": {Metrics: []Metric{{Name: "a", Kind: Errors}, {Name: "a", Kind: Errors}}},
		"kind": {Metrics: []Metric{{Name: "a", Kind: "error"}}}, "margin": {Metrics: []Metric{{Name: "a", Kind: Errors, Margin: .5}}},
		"thresholds": {Metrics: []Metric{{Name: "a", Kind: Errors, Thresholds: web().Metrics[1].Thresholds}}}, "weight": {Metrics: []Metric{{Name: "a", Kind: Errors, Weight: math.NaN()}}},
	} {
		if _, err := NewJudge(p, began); err == nil {
			t.Errorf("the plan %q is taken", name)
		}
	}
	if _, err := Resume(web(), State{Evidence: map[string]*Evidence{"errors": {}}}); err == nil {
		t.Error("a state of another plan is taken")
	}
}

// The budget is that of the whole plan: several metrics, many looks, and steps between.
func TestPlansKeepTheirBudget(t *testing.T) {
	t.Parallel()
	runs, worse := 1_000, 0
	if underRace {
		runs = 100
	}
	for i := range runs {
		j, r := judge(t, web()), seeded(uint64(1000+i))
		for s := range 300 {
			c, b := sound, sound
			if s > 150 {
				c.requests *= 4
			}
			if s == 151 {
				if err := j.Split(.8); err != nil {
					t.Fatal(err)
				}
			}
			second(t, j, r, s, c, b)
		}
		if j.Verdict(began.Add(time.Hour), Need{}).Outcome == Worse {
			worse++
		}
	}
	atMost(t, "plan", worse, runs, DefaultAlpha)
}
