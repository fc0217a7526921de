package verify

import (
	"math"
	"testing"
)

func TestRatioCovers(t *testing.T) {
	t.Parallel()
	for i, truth := range []float64{.5, 1, 1.3, 4} {
		r := seeded(uint64(300 + i))
		const looks = 200
		runs, missed := 2_000, 0
		if underRace {
			runs = 200
		}
		for range runs {
			var ratio Ratio
			for range looks {
				if err := ratio.Add(batch(200, 600, binomial(r, 200, .005*truth), binomial(r, 600, .005))); err != nil {
					t.Fatal(err)
				}
				if low, _, high := ratio.Interval(.05); truth < low || truth > high {
					missed++
					break
				}
			}
		}
		atMost(t, "ratio", missed, runs, .05)
	}
}

func TestRatioNarrows(t *testing.T) {
	t.Parallel()
	r := seeded(310)
	var ratio Ratio
	width := math.Inf(1)
	for _, batches := range []int{30, 300, 3_000} {
		for range batches {
			if err := ratio.Add(batch(1000, 1000, binomial(r, 1000, .012), binomial(r, 1000, .01))); err != nil {
				t.Fatal(err)
			}
		}
		low, best, high := ratio.Interval(.01)
		if !(low < best && best < high) || !(math.Log(high/low) < width*.6) {
			t.Errorf("after %d more: %v, %v, %v", batches, low, best, high)
		}
		width = math.Log(high / low)
	}
	if low, best, high := ratio.Interval(.01); low < 1.1 || high > 1.3 || math.Abs(best-1.2) > .05 {
		t.Errorf("1.2 was told as %v, %v, %v", low, best, high)
	}
}

func TestRatioAtTheEnds(t *testing.T) {
	t.Parallel()
	var none, all, zero Ratio
	if low, best, high := none.Interval(.05); low != 0 || !math.IsNaN(best) || !math.IsInf(high, 1) {
		t.Error(low, best, high)
	}
	for range 50 {
		all.Add(batch(10, 10, 5, 0))  //nolint:errcheck // it can be
		zero.Add(batch(10, 10, 0, 5)) //nolint:errcheck // the same
	}
	if low, _, high := all.Interval(.05); low < 10 || !math.IsInf(high, 1) {
		t.Error(low, high)
	}
	if low, _, high := zero.Interval(.05); low != 0 || high > .1 {
		t.Error(low, high)
	}
}

func BenchmarkCounts(b *testing.B) {
	for name, c := range map[string]Counts{"rare": {}, "frequent": {Frequent: true}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Add(batch(1000, 1000, 12, 9)) //nolint:errcheck // it can be
			}
		})
	}
	b.Run("ratio", func(b *testing.B) {
		b.ReportAllocs()
		var r Ratio
		for b.Loop() {
			r.Add(batch(1000, 1000, 12, 9)) //nolint:errcheck // the same
		}
	})
}

// TestRatioTakesManyAtOnce: what is waited for comes to the same, whether the bad requests of a batch are one or a thousand.
func TestRatioTakesManyAtOnce(t *testing.T) {
	t.Parallel()
	r := seeded(600)
	var one, many Ratio
	var all []Batch
	for i := range 400 {
		b := batch(1000, 1+r.Int64N(3000), binomial(r, 3, .3), 0)
		if i%50 == 0 {
			b.Candidate.Bad = r.Int64N(1000)
		}
		b.Baseline.Bad = min(r.Int64N(4), b.Baseline.Requests)
		all = append(all, b)
		if err := one.Add(b); err != nil {
			t.Fatal(err)
		}
	}
	many.take(all[:7])
	many.take(all[7:])
	if one.N != many.N {
		t.Errorf("%d and %d bad requests", one.N, many.N)
	}
	for i := range one.Logs {
		near(t, "ℓ", many.Logs[i], one.Logs[i], 1e-10)
	}
	many = Ratio{}
	if many.take([]Batch{batch(10, 10, 0, 0)}); many.Check() != nil || many.Logs != nil {
		t.Errorf("nothing bad has left %+v", many)
	}
}

// TestExceedsIsTheMixture holds the closed form against the integral that it stands for.
func TestExceedsIsTheMixture(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		bad, n int64
		limit  float64
	}{{0, 10, .001}, {3, 40, .01}, {30, 1000, .02}, {2, 9000, .001}, {9, 10, .5}, {0, 100, .3}} {
		// Beta(1/2, 1/2) is the distribution of sin²φ with φ uniform: the mean over those φ that are above the limit.
		from := math.Asin(math.Sqrt(tc.limit))
		const steps = 200_000
		sum := 0.0
		for i := range steps {
			phi := from + (math.Pi/2-from)*(float64(i)+.5)/steps
			p := math.Sin(phi) * math.Sin(phi)
			sum += math.Exp(float64(tc.bad)*math.Log(p/tc.limit) + float64(tc.n-tc.bad)*(math.Log1p(-p)-math.Log1p(-tc.limit)))
		}
		near(t, "e-value", Exceeds(tc.bad, tc.n, tc.limit), math.Log(sum/steps), 1e-6)
	}
}
