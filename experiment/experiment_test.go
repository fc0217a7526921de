package experiment_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"semper"
	"semper/experiment"
	"semper/experiment/design"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func plan(t testing.TB, change func(*design.Plan)) design.Plan {
	t.Helper()
	p := design.Plan{
		Name: "checkout", Variants: []design.Variant{{Name: "control", Share: .5}, {Name: "green", Share: .5}},
		Metrics: []design.Metric{{Name: "revenue", Role: design.RolePrimary}}, AtLeast: semper.Duration(time.Hour),
	}
	if change != nil {
		change(&p)
	}
	p, faults := experiment.Complete(p)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return p
}

// A crowd is users who come, are exposed and do something.
type crowd struct {
	*rand.Rand
	s    *experiment.State
	seq  uint64
	n    uint64
	pick func() int                        // a variant
	does func(variant, metric int) float64 // NaN: nothing
	of   design.Plan
}

func (c *crowd) come(n int) {
	c.seq++
	e := experiment.Entry{Seq: c.seq}
	for range n {
		c.n++
		number, v := c.n*0x9e3779b97f4a7c15, c.pick()
		e.Exposures = append(e.Exposures, experiment.Exposed{User: number, Variant: v, At: start.UnixMilli()})
		for m := range c.of.Metrics {
			if x := c.does(v, m); !math.IsNaN(x) {
				e.Values = append(e.Values, experiment.Value{ID: c.Uint64(), User: number, Metric: m, Value: x, At: start.UnixMilli() + 1, Segments: map[string]string{"plan": []string{"free", "pro"}[c.n%2]}})
			}
		}
	}
	c.s.Apply(&e)
}

func newCrowd(p design.Plan, seed uint64, does func(r *rand.Rand, variant, metric int) float64) *crowd {
	c := &crowd{Rand: rand.New(rand.NewPCG(seed, 7)), s: experiment.New(p), of: p}
	c.pick = func() int { return c.IntN(len(p.Variants)) }
	c.does = func(v, m int) float64 { return does(c.Rand, v, m) }
	return c
}

func (c *crowd) report() experiment.Report { return c.s.Report(start, start.Add(2*time.Hour)) }

// TestSameVariantsAreRarelyCalledDifferent: of 400 A/A runs with three metrics, one heavy-tailed, one rare and one common, and a look
// after each 100 users, at most alpha are ever decided: 20, and 3 standard deviations of that.
func TestSameVariantsAreRarelyCalledDifferent(t *testing.T) {
	t.Parallel()
	p := plan(t, func(p *design.Plan) {
		p.Metrics = append(p.Metrics, design.Metric{Name: "order", Kind: design.MetricConversion, Role: design.RolePrimary}, design.Metric{Name: "page", Kind: design.MetricCount})
	})
	const runs, looks = 400, 30
	decided, named, whole := 0, 0, 0
	for seed := range uint64(runs) {
		c := newCrowd(p, seed, func(r *rand.Rand, _, m int) float64 {
			switch {
			case m == 0:
				return math.Exp(r.NormFloat64())
			case m == 1 && r.Float64() > .05:
				return math.NaN()
			}
			return 1
		})
		var any, name, all bool
		for range looks {
			c.come(100)
			r := c.report()
			any = any || r.Outcome.Decided()
			all = all || r.E >= 1/p.Alpha
			for i := range r.Findings {
				name = name || r.Findings[i].Named
			}
		}
		for n, yes := range map[*int]bool{&decided: any, &named: name, &whole: all} {
			if yes {
				*n++
			}
		}
	}
	if limit := int(runs*p.Alpha + 3*math.Sqrt(runs*p.Alpha*(1-p.Alpha))); decided > limit || named > limit || whole > limit {
		t.Errorf("of %d: %d decided, %d with a named metric, %d with evidence of anything; at most %d", runs, decided, named, whole, limit)
	}
}

// TestALiftIsFound, in the right direction, with an interval that has the truth in it; by a metric of which less is better too.
func TestALiftIsFound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		factor float64
		less   bool
		want   experiment.Outcome
		winner string
	}{
		"better":         {1.2, false, experiment.Won, "green"},
		"worse":          {.8, false, experiment.Kept, "control"},
		"cheaper":        {.8, true, experiment.Won, "green"},
		"more expensive": {1.2, true, experiment.Kept, "control"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plan(t, func(p *design.Plan) { p.Metrics[0].Less = tc.less })
			c := newCrowd(p, 1, func(r *rand.Rand, v, _ int) float64 {
				x := r.ExpFloat64()
				if v == 1 {
					x *= tc.factor
				}
				return x
			})
			c.come(20_000)
			r := c.report()
			lift := r.Findings[0].Lift
			if r.Outcome != tc.want || r.Winner != tc.winner || *lift.Low > tc.factor-1 || *lift.High < tc.factor-1 || !strings.Contains(r.Why, "revenue per user than control") {
				t.Errorf("%s, %q wins: %s", r.Outcome, r.Winner, r.Why)
			}
			if early := c.s.Report(start, start.Add(time.Minute)); early.Outcome != experiment.TooEarly || !strings.Contains(early.Why, "59m") {
				t.Errorf("after a minute: %s: %s", early.Outcome, early.Why)
			}
		})
	}
}

// TestAMismatchStopsTheDecision: the same lift, with a variant that loses users.
func TestAMismatchStopsTheDecision(t *testing.T) {
	t.Parallel()
	p := plan(t, nil)
	c := newCrowd(p, 1, func(r *rand.Rand, v, _ int) float64 { return r.ExpFloat64() * (1 + .2*float64(v)) })
	c.pick = func() int {
		if c.Float64() < .45 {
			return 1
		}
		return 0
	}
	c.come(20_000)
	if r := c.report(); r.Outcome != experiment.Mismatch || r.Winner != "" || r.Mismatch < experiment.Mismatched {
		t.Errorf("%s, evidence %g: %s", r.Outcome, r.Mismatch, r.Why)
	}
}

// TestAGuardrailBars: nobody wins who is worse by one.
func TestAGuardrailBars(t *testing.T) {
	t.Parallel()
	p := plan(t, func(p *design.Plan) {
		p.Metrics = append(p.Metrics, design.Metric{Name: "refund", Kind: design.MetricConversion, Role: design.RoleGuardrail, Less: true})
	})
	c := newCrowd(p, 3, func(r *rand.Rand, v, m int) float64 {
		switch {
		case m == 0:
			return r.ExpFloat64() * (1 + .3*float64(v))
		case r.Float64() < .05+.05*float64(v):
			return 1
		}
		return math.NaN()
	})
	c.come(20_000)
	if r := c.report(); r.Outcome != experiment.Undecided || !strings.Contains(r.Why, "worse by refund") {
		t.Errorf("%s: %s", r.Outcome, r.Why)
	}
}

// TestSmallDifferencesDoNotMatter where a margin says so.
func TestSmallDifferencesDoNotMatter(t *testing.T) {
	t.Parallel()
	p := plan(t, func(p *design.Plan) { p.Metrics[0].Margin = .1 })
	c := newCrowd(p, 5, func(r *rand.Rand, _, _ int) float64 { return 1 + r.Float64() })
	c.come(10_000)
	if r := c.report(); r.Outcome != experiment.Same {
		t.Errorf("%s: %s", r.Outcome, r.Why)
	}
}

// TestSegments: what differs among some shows there.
func TestSegments(t *testing.T) {
	t.Parallel()
	p := plan(t, func(p *design.Plan) { p.Segments = []string{"plan"} })
	c := newCrowd(p, 5, nil)
	c.does = func(v, _ int) float64 {
		x := c.ExpFloat64()
		if v == 1 && c.n%2 == 1 { // pro
			x *= 2
		}
		return x
	}
	c.come(8_000)
	r := c.report()
	if len(r.Segments) != 2 || r.Segments[0].Value != "free" || r.Segments[1].Value != "pro" {
		t.Fatalf("%+v", r.Segments)
	}
	free, pro := r.Segments[0].Findings[0], r.Segments[1].Findings[0]
	if free.E > 100 || pro.E < 100 || free.Control.N+pro.Control.N != r.Findings[0].Control.N {
		t.Errorf("free %g, pro %g", free.E, pro.E)
	}
}

// TestStateIsWrittenAndRead at any time, and entries that come for the second time change nothing.
func TestStateIsWrittenAndRead(t *testing.T) {
	t.Parallel()
	p := plan(t, func(p *design.Plan) { p.Segments, p.Users = []string{"plan"}, 1000 })
	c := newCrowd(p, 5, func(r *rand.Rand, _, _ int) float64 { return r.ExpFloat64() })
	for range 8 {
		c.come(400)
	}
	want := c.report()
	again := experiment.New(p)
	for part := range experiment.Shards {
		b := c.s.Encode(part)
		if err := again.Decode(part, b); err != nil {
			t.Fatal(err)
		}
		if err := experiment.New(p).Decode(part, b[:len(b)-1]); err == nil {
			t.Errorf("part %d is read though it is cut short", part)
		}
	}
	if len(c.s.Dirty()) != 0 {
		t.Error("it is dirty")
	}
	got := again.Report(start, want.At)
	for i := range want.Findings { // sums in another order
		if math.Abs(want.Findings[i].Treated.Mean-got.Findings[i].Treated.Mean) > 1e-9 || want.Findings[i].Treated.N != got.Findings[i].Treated.N {
			t.Errorf("%+v, not %+v", got.Findings[i], want.Findings[i])
		}
	}
	if diff := cmp.Diff(want.Variants, got.Variants); diff != "" || !got.Full {
		t.Error(diff, got.Full)
	}
	if n := again.Users(); n > 1024+512 {
		t.Errorf("%d users are kept", n)
	}
	before := again.Report(start, want.At).Variants
	c.s, c.seq, c.n = again, 0, 0
	c.come(400)
	if diff := cmp.Diff(before, again.Report(start, want.At).Variants); diff != "" {
		t.Error("an old entry changed it:", diff)
	}
}

// TestOfOneUser: what counts, and what does not.
func TestOfOneUser(t *testing.T) {
	t.Parallel()
	p := plan(t, func(p *design.Plan) {
		p.Metrics[0].Within = semper.Duration(time.Hour)
		p.Metrics = append(p.Metrics, design.Metric{Name: "order", Kind: design.MetricConversion}, design.Metric{Name: "page", Kind: design.MetricCount})
	})
	at := func(d time.Duration) int64 { return start.Add(d).UnixMilli() }
	s := experiment.New(p)
	exposed := []experiment.Exposed{{User: 1, Variant: 1, At: at(time.Minute)}, {User: 1, Variant: 0, At: at(2 * time.Minute)}, {User: 2, Variant: 0, At: at(0)}, {User: 3, Variant: 9}}
	s.Apply(&experiment.Entry{Seq: 1, Values: []experiment.Value{
		{ID: 1, User: 1, Metric: 0, Value: 1000, At: at(0)},                                                                           // long before the exposure
		{ID: 2, User: 2, Metric: 0, Value: 1, At: at(time.Second)},                                                                    // the exposure is told later
		{ID: 3, User: 4, Metric: 0, Value: 1, At: at(time.Second)},                                                                    // never exposed
		{ID: 4, User: 2, Metric: 0, Value: math.NaN()}, {ID: 5, User: 2, Metric: 0, Value: -1}, {ID: 6, User: 2, Metric: 7, Value: 1}, // no values
	}})
	if n := len(s.News(exposed)); n != 3 {
		t.Errorf("%d are news", n)
	}
	s.Apply(&experiment.Entry{Seq: 2, Exposures: exposed, Values: []experiment.Value{
		{ID: 10, User: 1, Metric: 0, Value: 2, At: at(2 * time.Minute)},
		{ID: 10, User: 1, Metric: 0, Value: 2, At: at(2 * time.Minute)},
		{ID: 11, User: 1, Metric: 0, Value: 3, At: at(3 * time.Minute)},
		{ID: 12, User: 1, Metric: 0, Value: 50, At: at(2 * time.Hour)}, // too late
		{ID: 13, User: 1, Metric: 1, Value: 7, At: at(time.Hour)},
		{ID: 14, User: 1, Metric: 1, Value: 7, At: at(3 * time.Hour)},
		{ID: 15, User: 1, Metric: 2, Value: 7, At: at(3 * time.Hour)},
		{ID: 16, User: 1, Metric: 2, Value: 7, At: at(3 * time.Hour)},
	}})
	if !s.Has(1, 10) || s.Has(1, 99) {
		t.Error("ids are not known")
	}
	r := s.Report(start, start.Add(4*time.Hour))
	got := fmt.Sprint(r.Variants[0].Users, r.Variants[1].Users, r.Waiting, r.Findings[0].Treated, r.Findings[0].Control, r.Findings[1].Treated, r.Findings[2].Treated)
	if want := "1 1 1 {1 5} {1 1} {1 1} {1 2}"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	if r := s.Report(start, start.Add(10*time.Minute)); r.Findings[0].Control.N != 0 || r.Findings[1].Control.N != 1 {
		t.Errorf("before its hour is over a user counts: %+v", r.Findings[0])
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	_, faults := experiment.Complete(design.Plan{
		Name: "a b", Alpha: 2, Users: -1, AtLeast: -1, Segments: []string{"x", "x"},
		Variants: []design.Variant{{Name: "a", Share: .7}, {Name: "a", Share: .7}, {Name: "c", Share: math.NaN()}},
		Metrics:  []design.Metric{{Name: "m", Kind: "median", Margin: -1}, {Name: "m", Role: "king", Within: -1, Weight: -1}},
	})
	keys := map[string]bool{}
	for _, f := range faults {
		keys[f.Key] = true
	}
	for _, key := range []string{"name", "alpha", "users", "at_least", "segments[1]", "variants[1].name", "variants[2].share", "metrics[0].kind", "metrics[0].margin", "metrics[1].name", "metrics[1].role", "metrics[1].within", "metrics[1].weight", "metrics"} {
		if !keys[key] {
			t.Errorf("nothing is said of %s: %v", key, faults)
		}
	}
	_, faults = experiment.Complete(design.Plan{Name: "a", Variants: []design.Variant{{Name: "a", Share: .7}, {Name: "b", Share: .7}}})
	if len(faults) != 2 {
		t.Error(faults)
	}
}

func TestReadAFile(t *testing.T) {
	t.Parallel()
	p, err := experiment.Read("checkout.yaml", []byte(`name: checkout
by: header:X-User
at_least: 24h
variants:
  - { name: control, share: 0.5 }
  - { name: green, share: 0.5 }
metrics:
  - { name: revenue, role: primary }
  - { name: refund, kind: conversion, role: guardrail, less_is_better: true }
`))
	if err != nil || p.By != "header:X-User" || p.AtLeast.D() != 24*time.Hour || p.Metrics[0].Kind != design.MetricSum || !p.Metrics[1].Less {
		t.Errorf("%+v %v", p, err)
	}
	_, err = experiment.Read("checkout.yaml", []byte("name: a\nby: header\nvariants:\n  - { name: control, share: 0.5 }\n  - { name: green, share: 0.6 }\nmetrics:\n  - { name: revenue, rôle: primary }\n"))
	if err == nil || !strings.Contains(err.Error(), "checkout.yaml:7") {
		t.Error(err)
	}
	_, err = experiment.Read("checkout.yaml", []byte("name: a\nby: header\nvariants:\n  - { name: control, share: 0.5 }\n  - { name: green, share: 0.6 }\nmetrics:\n  - { name: revenue, role: primary }\n"))
	if err == nil || !strings.Contains(err.Error(), "checkout.yaml:2") || !strings.Contains(err.Error(), "add up to 1.1") {
		t.Error(err)
	}
}

// TestSilence: what nobody tells of is no data, whatever else is told; and it is said of what guards nothing.
func TestSilence(t *testing.T) {
	t.Parallel()
	p := plan(t, func(p *design.Plan) {
		p.Metrics = append(p.Metrics, design.Metric{Name: "refund", Kind: design.MetricConversion, Role: design.RoleGuardrail})
	})
	nothing := newCrowd(p, 1, func(*rand.Rand, int, int) float64 { return math.NaN() })
	nothing.come(2000)
	if r := nothing.report(); r.Outcome != experiment.NoData || r.Winner != "" || !strings.Contains(r.Why, "no value of revenue, refund") {
		t.Errorf("%s: %s", r.Outcome, r.Why)
	}
	unguarded := newCrowd(p, 1, func(r *rand.Rand, v, m int) float64 {
		if m == 1 {
			return math.NaN()
		}
		return float64(1+v) + r.Float64()
	})
	unguarded.come(2000)
	if r := unguarded.report(); r.Outcome != experiment.Won || len(r.Silent) != 1 || r.Silent[0] != "refund" {
		t.Errorf("%s: %s; silent is %v", r.Outcome, r.Why, r.Silent)
	}
	nobody := newCrowd(p, 1, nil)
	nobody.pick = func() int { return 0 }
	nobody.does = func(int, int) float64 { return 1 }
	nobody.come(3)
	if r := nobody.report(); r.Outcome != experiment.NoData || r.Why != "nobody has been seen with green yet" {
		t.Errorf("%s: %s", r.Outcome, r.Why)
	}
}
