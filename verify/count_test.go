package verify

import (
	"math"
	"testing"
)

// published has the alternatives of the constants of verification.md, 2i.
var published = []float64{1.1, 1.25, 1.5, 2, 3, 5, 10, 30}

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if !(math.Abs(got-want) <= relative*math.Abs(want)) {
		t.Errorf("%s: %.15g, and not %.15g", what, got, want)
	}
}

func batch(nc, nb, xc, xb int64) Batch {
	return Batch{Arm{Requests: nc, Bad: xc}, Arm{Requests: nb, Bad: xb}}
}

func e(t *testing.T, c *Counts, batches ...Batch) float64 {
	t.Helper()
	for _, b := range batches {
		if err := c.Add(b); err != nil {
			t.Fatal(err)
		}
	}
	return math.Exp(c.LogE())
}

func TestCountsConstants(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		b    Batch
		want float64
	}{
		{batch(1000, 1000, 9, 1), 16.639648754},
		{batch(1000, 1000, 12, 3), 7.466837078},
		{batch(50, 950, 3, 0), 283.730941395},
		{batch(1000, 1000, 8, 0), 52.4},
		{batch(1000, 1000, 10, 0), 173.0},
	} {
		digits := 1e-10
		if tc.want == 52.4 || tc.want == 173.0 {
			digits = 1e-3
		}
		near(t, "E", e(t, &Counts{Ratios: published}, tc.b), tc.want, digits)
	}
}

// Where the bad requests fall is hypergeometric when the arms are alike. The exact norm has mean 1 then, and the binomial one at
// most that: .935 and .263 (verification.md, 2a iii).
func TestCountsUnderTheHypothesis(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		n, x     int64
		binomial float64
	}{{100, 10, .935}, {100, 100, .263}} {
		var binomial, exact float64
		for k := max(0, tc.x-tc.n); k <= min(tc.x, tc.n); k++ {
			p := math.Exp(logChoose(float64(tc.n), float64(k)) + logChoose(float64(tc.n), float64(tc.x-k)) - logChoose(float64(2*tc.n), float64(tc.x)))
			b := batch(tc.n, tc.n, k, tc.x-k)
			binomial += p * e(t, &Counts{Ratios: published}, b)
			exact += p * e(t, &Counts{Ratios: published, Frequent: true}, b)
		}
		if math.Abs(binomial-tc.binomial) > .0005 {
			t.Errorf("binomial norm, %d of %d bad: mean %v", tc.x, 2*tc.n, binomial)
		}
		near(t, "exact norm, mean", exact, 1, 1e-9)
	}
}

// The binomial case itself: Σ Bin(n, θ0)(x)·E(x, n-x) = 1.
func TestCountsMeanIsOne(t *testing.T) {
	t.Parallel()
	const n = 60
	for _, shares := range [][2]int64{{1, 1}, {1, 19}, {3, 1}} {
		for _, margin := range []float64{1, 1.25, 2} {
			rc := margin * float64(shares[0])
			pi := rc / (rc + float64(shares[1]))
			mean := 0.0
			for x := range int64(n + 1) {
				p := math.Exp(logChoose(n, float64(x)) + float64(x)*math.Log(pi) + float64(n-x)*math.Log1p(-pi))
				mean += p * e(t, &Counts{Margin: margin}, batch(1000*shares[0], 1000*shares[1], x, n-x))
			}
			near(t, "mean", mean, 1, 1e-10)
		}
	}
}
