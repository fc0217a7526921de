package verify

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A process is one that serves n requests a second, of which the part slow is slow by itself, and which now and then stands still.
type process struct {
	n, slow float64
	every   float64 // seconds from one standstill to the next, in the mean; 0: never
	left    float64 // seconds for which it will go on to stand still
}

// second is what it does in one: whatever comes while it stands still, for 50 to 500 ms, is slow.
func (p *process) second(r *rand.Rand) (a Arm) {
	still := min(p.left, 1)
	p.left -= still
	if p.every > 0 && r.Float64() < 1/p.every {
		at, lasts := r.Float64(), .05+.45*r.Float64()
		p.left += max(0, at+lasts-1)
		still = min(1, still+min(lasts, 1-at))
	}
	a.Requests = int64(p.n)
	if r.Float64() < p.n-math.Floor(p.n) {
		a.Requests++
	}
	in := binomial(r, a.Requests, still)
	a.Bad = in + binomial(r, a.Requests-in, p.slow)
	return a
}

// arm is several processes that share requests.
func arm(r *rand.Rand, all []process) (sum Arm) {
	for i := range all {
		a := all[i].second(r)
		sum.Requests += a.Requests
		sum.Bad += a.Bad
	}
	return sum
}

func processes(n int, p process) (all []process) {
	p.n /= float64(n)
	for range n {
		all = append(all, p)
	}
	return all
}

// TestBurstsConvictNobody has processes that stand still for a moment, on both arms alike, whatever the sizes of these are. The judge keeps its
// bound; who counts requests one by one convicts most.
func TestBurstsConvictNobody(t *testing.T) {
	t.Parallel()
	for i, tc := range []struct {
		name                string
		candidate, baseline int // processes
		nc, nb              float64
		every               float64
	}{
		{"as large", 1, 1, 50, 50, 5},
		{"seldom", 1, 1, 50, 50, 20},
		{"always", 2, 2, 50, 50, 1},
		{"a small share", 1, 4, 10, 40, 5},
		{"a large share", 3, 1, 90, 30, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := seeded(uint64(500 + i))
			const seconds = 300
			runs, counted, worse := 300, 0, 0
			if underRace {
				runs = 60
			}
			p := Plan{Metrics: []Metric{{Name: "latency", Kind: Latency, Thresholds: []Threshold{{"p99", 200 * time.Millisecond, 1}}}}}
			for range runs {
				j, err := NewJudge(p, began)
				if err != nil {
					t.Fatal(err)
				}
				c := processes(tc.candidate, process{n: tc.nc, slow: .01, every: tc.every})
				b := processes(tc.baseline, process{n: tc.nb, slow: .01, every: tc.every})
				for s := range seconds {
					both := Batch{arm(r, c), arm(r, b)}
					if err := j.Observe(began.Add(time.Duration(s)*time.Second), "latency", Sample{Counts: []Batch{both}}); err != nil {
						t.Fatal(err)
					}
				}
				if j.of[0].Counts[0].P() <= DefaultAlpha {
					counted++
				}
				if j.Verdict(began.Add(time.Hour), Need{}).Outcome == Worse {
					worse++
				}
			}
			t.Logf("of %d runs %d are convicted, and %d by counting requests one by one", runs, worse, counted)
			atMost(t, tc.name, worse, runs, DefaultAlpha)
			if tc.candidate == tc.baseline && counted < runs/10 {
				t.Errorf("counting convicts only %d of %d: these are no bursts", counted, runs)
			}
		})
	}
}

// TestPairedIsExact walks through all signs of five slices whose sizes are given: the mean of the e-value is 1, as it is to be under symmetry.
func TestPairedIsExact(t *testing.T) {
	t.Parallel()
	sizes := []int64{3, 10, 1, 70, 4}
	var sum float64
	for signs := range 1 << len(sizes) {
		var p Paired
		for i, x := range sizes {
			b := batch(100, 100, x, 0)
			if signs>>i&1 == 1 {
				b = batch(100, 100, 0, x)
			}
			add(t, &p, i, b)
		}
		add(t, &p, len(sizes), Batch{}) // which ends the last
		if sum += math.Exp(p.LogE()); p.N != int64(len(sizes)) {
			t.Fatalf("%d slices", p.N)
		}
		if limit := float64(len(sizes)-1) * math.Ln2; p.LogE() > limit {
			t.Errorf("%v from %d slices, each of which doubles at most", p.LogE(), len(sizes))
		}
	}
	near(t, "mean", sum/float64(int(1)<<len(sizes)), 1, 1e-12)
}

// add gives p a batch in the i-th slice.
func add(t *testing.T, p *Paired, i int, b Batch) {
	t.Helper()
	if err := p.Add(began.Add(time.Duration(i)*DefaultSlice), b); err != nil {
		t.Fatal(err)
	}
}

// TestPairedComparesWithinBatches has a slow service that gets more of the candidate's requests: within each service both are alike.
func TestPairedComparesWithinBatches(t *testing.T) {
	t.Parallel()
	var p Paired
	for i := range 50 {
		add(t, &p, i, batch(90, 10, 45, 5))
		add(t, &p, i, batch(10, 90, 0, 0))
	}
	if p.N != 0 || p.LogE() != 0 {
		t.Errorf("%d slices have a difference: %v", p.N, p.LogE())
	}
}

// TestPairedPower is how many slices it takes to find a release that is worse, at an e-value of 300, which is what latency needs beside others.
func TestPairedPower(t *testing.T) {
	t.Parallel()
	for i, tc := range []struct {
		what            string
		n               int64 // requests of each arm in a slice
		slow, was       float64
		most, countedBy float64 // median slices; how many times the requests that Counts takes
	}{
		{"all slow", 40, 1, .5, 11, math.Inf(1)},
		{"a fifth more at p90", 40, .135, .1, 80, 1.5},
		{"twice at p99", 40, .02, .01, 130, 1.5},
		{"a little at p50", 200, .57, .5, 20, 2.5},
	} {
		r := seeded(uint64(520 + i))
		slices, _ := quantiles(101, func(int) float64 {
			var p Paired
			for n := 0; ; n++ {
				add(t, &p, n, batch(tc.n, tc.n, binomial(r, tc.n, tc.slow), binomial(r, tc.n, tc.was)))
				if p.LogE() >= math.Log(300) {
					return float64(n)
				}
			}
		})
		counted, _ := quantiles(31, func(int) float64 {
			c := Counts{Frequent: true}
			for n := 1; ; n++ {
				if e(t, &c, batch(tc.n, tc.n, binomial(r, tc.n, tc.slow), binomial(r, tc.n, tc.was))) >= 300 {
					return float64(n)
				}
			}
		})
		t.Logf("%s: %.0f slices of %d requests, by counts %.0f", tc.what, slices, tc.n, counted)
		if slices > tc.most || slices > tc.countedBy*counted {
			t.Errorf("%s: %.0f slices, more than %.0f, or %.1f times the %.0f of counts", tc.what, slices, tc.most, tc.countedBy, counted)
		}
	}
}

// TestOneBurstWaits is the false return that slices are for: 37 of 2,294 slow requests against 8 of 2,329, in 2.6 s. It neither convicts nor
// passes at once, and passes when nothing of the kind follows.
func TestOneBurstWaits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		later   int64 // slow ones of 450 in each half second that follows; the baseline has 4
		outcome Outcome
	}{"a burst": {4, BetterOrEqual}, "a slow release": {20, Worse}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Plan{Metrics: []Metric{{Name: "latency", Kind: Latency, Thresholds: []Threshold{{"p99", 200 * time.Millisecond, 1}}}}}
			j, err := NewJudge(p, began)
			if err != nil {
				t.Fatal(err)
			}
			look := func(i int, b Batch) Verdict {
				at := began.Add(time.Duration(i) * 500 * time.Millisecond)
				if err := j.Observe(at, "latency", Sample{Counts: []Batch{b}}); err != nil {
					t.Fatal(err)
				}
				return j.Verdict(at, Need{})
			}
			for i := range 5 {
				b := batch(459, 466, 1, 1)
				if i == 3 {
					b.Candidate.Bad = 33
				}
				v := look(i, b)
				if i >= 3 && (v.Outcome != Undecided || v.Cause != TooEarly) {
					t.Errorf("look %d: %s %s: %s", i, v.Outcome, v.Cause, v.Why)
				}
			}
			var v Verdict
			for i := 5; i < 100; i++ {
				v = look(i, batch(450, 450, tc.later, 4+int64(i/4%2)*int64(i%2)))
			}
			if v.Outcome != tc.outcome {
				t.Errorf("%s %s: %s", v.Outcome, v.Cause, v.Why)
			}
		})
	}
}

// TestBurstsOfErrors are judged so where the plan says it.
func TestBurstsOfErrors(t *testing.T) {
	t.Parallel()
	for bursts, outcome := range map[bool]Outcome{false: Worse, true: Undecided} {
		j, err := NewJudge(Plan{Metrics: []Metric{{Name: "errors", Kind: Errors, Bursts: bursts}}}, began)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Observe(began, "errors", Sample{Counts: []Batch{batch(1000, 1000, 50, 0)}}); err != nil {
			t.Fatal(err)
		}
		if v := j.Verdict(began, Need{}); v.Outcome != outcome {
			t.Errorf("bursts %v: %s %s", bursts, v.Outcome, v.Why)
		}
	}
	if _, err := NewJudge(Plan{Metrics: []Metric{{Name: "memory", Kind: Gauge, Bursts: true}}}, began); err == nil {
		t.Error("a gauge with bursts is taken")
	}
}

// A state of a semper that knew no slices goes on: what it has counted convicts once slices agree.
func TestEvidenceWithoutSlicesGoesOn(t *testing.T) {
	t.Parallel()
	p := Plan{Metrics: []Metric{{Name: "latency", Kind: Latency, Thresholds: []Threshold{{"p99", 200 * time.Millisecond, 1}}}}}
	b, err := json.Marshal(State{Start: began, Evidence: map[string]*Evidence{"latency": {Counts: []*Counts{{Frequent: true}}}}})
	if err != nil {
		t.Fatal(err)
	}
	var s State
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	j, err := Resume(p, s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		at := began.Add(time.Duration(i) * DefaultSlice)
		if err := j.Observe(at, "latency", Sample{Counts: []Batch{batch(100, 100, 20, 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	if v := j.Verdict(began.Add(time.Hour), Need{}); v.Outcome != Worse {
		t.Error(v.Why)
	}
	for name, bad := range map[string]*Evidence{
		"two":  {Counts: []*Counts{{Frequent: true}}, Paired: []*Paired{{}, {}}},
		"gap":  {Counts: []*Counts{{Frequent: true}}, Paired: []*Paired{nil}},
		"size": {Counts: []*Counts{{Frequent: true}}, Paired: []*Paired{{N: 3}}},
		"logs": {Counts: []*Counts{{Frequent: true}}, Paired: []*Paired{{Logs: []float64{1}}}},
		"open": {Counts: []*Counts{{Frequent: true}}, Paired: []*Paired{{Open: Slice{Weight: -1}}}},
	} {
		if _, err := Resume(p, State{Evidence: map[string]*Evidence{"latency": bad}}); err == nil {
			t.Errorf("%s: it is resumed", name)
		}
	}
}
