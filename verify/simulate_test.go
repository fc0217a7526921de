package verify

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Seeds are fixed: a run that fails fails again.
func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(20261121, n)) }

// binomial draws by jumping from one success to the next.
func binomial(r *rand.Rand, n int64, p float64) (x int64) {
	if p <= 0 {
		return 0
	}
	for at := jump(r, p); at <= n; at += jump(r, p) {
		x++
	}
	return x
}

// jump is how many draws the next success takes, 1 or more.
func jump(r *rand.Rand, p float64) int64 {
	if p >= 1 {
		return 1
	}
	j := math.Ceil(math.Log(1-r.Float64()) / math.Log1p(-p))
	return int64(max(1, min(j, 1<<40)))
}

// atMost fails when more of runs were rejected than chance at level alpha and three standard deviations explain.
func atMost(t *testing.T, what string, rejected, runs int, alpha float64) {
	t.Helper()
	n := float64(runs)
	if limit := n*alpha + 3*math.Sqrt(n*alpha*(1-alpha)); float64(rejected) > limit {
		t.Errorf("%s: %d of %d runs reject at %v, more than %.0f", what, rejected, runs, alpha, limit)
	}
}

// An arrangement makes the batches of one run, all with the hypothesis true.
type arrangement struct {
	name   string
	counts Counts
	looks  int
	batch  func(r *rand.Rand, look int) Batch
}

func steady(nc, nb int64, p float64) func(*rand.Rand, int) Batch {
	return func(r *rand.Rand, _ int) Batch {
		return batch(nc, nb, binomial(r, nc, p), binomial(r, nb, p))
	}
}

var arrangements = []arrangement{
	{"rare", Counts{}, 400, steady(100, 100, .001)},
	{"one in a hundred", Counts{}, 400, steady(100, 100, .01)},
	{"a small share", Counts{}, 400, steady(50, 950, .001)},
	{"frequent, exact", Counts{Frequent: true}, 100, steady(20, 20, .5)},
	{"frequent, exact, unequal", Counts{Frequent: true}, 100, steady(5, 95, .1)},
	{"margin, at it", Counts{Margin: 1.5}, 400, func(r *rand.Rand, _ int) Batch {
		return batch(100, 100, binomial(r, 100, .0015), binomial(r, 100, .001))
	}},
	{"margin, at it, frequent", Counts{Margin: 1.2}, 100, func(r *rand.Rand, _ int) Batch {
		return batch(100, 100, binomial(r, 100, .06), binomial(r, 100, .05))
	}},
	{"a wave of errors while the share steps up", Counts{}, 400, func(r *rand.Rand, look int) Batch {
		share := []float64{.01, .05, .25, .5}[min(look/100, 3)]
		p := .002 * (1 + .9*math.Sin(float64(look)/15))
		nc := int64(500*share) + r.Int64N(5) // what arrives, and not what was configured
		return batch(nc, 500-nc, binomial(r, nc, p), binomial(r, 500-nc, p))
	}},
	{"a fifth more traffic than configured", Counts{}, 400, func(r *rand.Rand, _ int) Batch {
		return batch(120, 100, binomial(r, 120, .005), binomial(r, 100, .005))
	}},
}

// TestNullsAreKept is what the guarantee says: nothing is wrong, and somebody looks after every batch.
func TestNullsAreKept(t *testing.T) {
	t.Parallel()
	for i, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			r := seeded(uint64(i))
			runs := 10_000
			if underRace {
				runs = 1_000
			}
			var at01, at05 int
			for range runs {
				c := a.counts
				for look := range a.looks {
					if err := c.Add(a.batch(r, look)); err != nil {
						t.Fatal(err)
					}
				}
				if c.P() <= .01 {
					at01++
				}
				if c.P() <= .05 {
					at05++
				}
			}
			atMost(t, a.name, at01, runs, .01)
			atMost(t, a.name, at05, runs, .05)
			if at05 == 0 && a.counts.Margin == 0 && !a.counts.Frequent {
				t.Error("no run rejects at all: this cannot fail")
			}
		})
	}
}

// TestNaiveTestIsCaught shows that the harness sees a test that must not be looked at twice.
func TestNaiveTestIsCaught(t *testing.T) {
	t.Parallel()
	r := seeded(100)
	const runs, looks, n = 500, 400, 500
	rejected := 0
	for range runs {
		var xc, xb, all float64
		for range looks {
			xc += float64(binomial(r, n, .001))
			xb += float64(binomial(r, n, .001))
			all += n
			p := (xc + xb) / (2 * all)
			if z := (xc - xb) / all / math.Sqrt(2*p*(1-p)/all); z > 1.6449 {
				rejected++
				break
			}
		}
	}
	if float64(rejected) < .2*runs {
		t.Errorf("only %d of %d runs of the naive test reject at .05: the harness does not look often enough", rejected, runs)
	}
}

// TestConfiguredShareAndBurstsAreTraps keeps the two mistakes of use on record that no kernel can make good.
func TestConfiguredShareAndBurstsAreTraps(t *testing.T) {
	t.Parallel()
	r := seeded(101)
	const runs, looks = 500, 2_000
	var share, bursts int
	for range runs {
		var configured, burst Counts
		for range looks {
			configured.Add(batch(100, 100, binomial(r, 120, .01), binomial(r, 100, .01))) //nolint:errcheck // it can be
			var b Batch
			b.Candidate.Requests, b.Baseline.Requests = 1000, 1000
			for range binomial(r, 2000, .0003) { // a user meets errors three at a time
				arm := &b.Candidate
				if r.IntN(2) == 0 {
					arm = &b.Baseline
				}
				arm.Bad += jump(r, 1./3)
			}
			burst.Add(b) //nolint:errcheck // the same
		}
		if configured.P() <= .01 {
			share++
		}
		if burst.P() <= .01 {
			bursts++
		}
	}
	if share < runs/2 || bursts < runs/10 {
		t.Errorf("of %d runs %d reject by configured shares and %d by bursts: the warnings of the documentation are not so any more", runs, share, bursts)
	}
}

// quantiles of what until needs, over runs.
func quantiles(runs int, until func(i int) float64) (median, p90 float64) {
	all := make([]float64, runs)
	for i := range all {
		all[i] = until(i)
	}
	slices.Sort(all)
	return all[runs/2], all[runs*9/10]
}

// TestPower is the table of verification.md, 2a: requests of the candidate until a difference is proven at .01, by the
// alternatives it was made with.
func TestPower(t *testing.T) {
	t.Parallel()
	for i, tc := range []struct {
		base, candidate float64
		same, large     float64 // medians: arms of the same size, and a baseline of 19 times that
	}{
		{.001, .01, 1_282, 458},
		{.001, .003, 9_630, 4_470},
		{.001, .002, 31_350, 15_520},
		{.001, .0015, 105_000, 52_000},
		{.01, .02, 3_104, 1_532},
		{.01, .012, 61_000, 32_000},
		{.0001, .001, 12_880, 4_560},
		{.05, .06, 12_100, 6_400},
	} {
		for k, want := range map[int64]float64{1: tc.same, 19: tc.large} {
			r := seeded(uint64(200+2*i) + uint64(k&1))
			runs := 2_000
			if underRace {
				runs = 400
			}
			median, _ := quantiles(runs, func(int) float64 { return requestsToConvict(r, tc.base, tc.candidate, k) })
			if off := math.Abs(median/want - 1); off > .1 && !underRace || off > .25 {
				t.Errorf("%v to %v, baseline %d times: %.0f requests, and not about %.0f", tc.base, tc.candidate, k, median, want)
			}
		}
	}
}

// requestsToConvict goes from one bad request to the next. The candidate has one request for k of the baseline.
func requestsToConvict(r *rand.Rand, base, candidate float64, k int64) float64 {
	c := Counts{Ratios: published}
	threshold := math.Log(100)
	nextC, nextB := jump(r, candidate)*k, jump(r, base) // in requests of the baseline
	for {
		b := batch(1, k, 0, 0)
		at := min(nextC, nextB)
		if nextC == at {
			b.Candidate.Bad++
			nextC += jump(r, candidate) * k
		}
		if nextB == at {
			b.Baseline.Bad++
			nextB += jump(r, base)
		}
		if err := c.Add(b); err != nil {
			panic(err)
		}
		if c.LogE() >= threshold {
			return float64(at) / float64(k)
		}
	}
}
