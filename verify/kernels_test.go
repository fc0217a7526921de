package verify

import (
	"math"
	"testing"
)

// The numbers of these tests are those published with other implementations: verification.md, 2i, by number.

func TestSharesOracles(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		s      Shares
		counts []int64
		p      float64
	}{
		{"1", Shares{Want: []float64{.8, .2}, Concentration: 100}, []int64{148, 62}, .045579631759249686},
		{"2", Shares{Want: []float64{.1, .4, .5}, Concentration: 100}, []int64{40, 129, 233}, .04845591105969517},
	} {
		if err := tc.s.Add(tc.counts...); err != nil {
			t.Fatal(err)
		}
		near(t, tc.name, math.Exp(-tc.s.LogE()), tc.p, 1e-10)
	}
}

func TestRateOracle(t *testing.T) {
	t.Parallel()
	low, high := Rate(7, 1000, .05)
	near(t, "low", low, .001176, 1e-3)
	near(t, "high", high, .021398, 1e-4)
}

func TestExceedsConstants(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		x, y int64
		want float64
	}{{9, 1, 18.922108411}, {12, 3, 7.193515573}, {8, 0, 100.5}, {10, 0, 360.8}} {
		digits := 1e-10
		if tc.y == 0 {
			digits = 1e-3
		}
		near(t, "E", math.Exp(Exceeds(tc.x, tc.x+tc.y, .5)), tc.want, digits)
	}
	const n = 60
	for _, limit := range []float64{.001, .3, .5} {
		mean := 0.0
		for x := range int64(n + 1) {
			mean += math.Exp(logChoose(n, float64(x)) + float64(x)*math.Log(limit) + float64(n-x)*math.Log1p(-limit) + Exceeds(x, n, limit))
		}
		near(t, "mean", mean, 1, 1e-10)
	}
}

func TestMeansOracles(t *testing.T) {
	t.Parallel()
	a, b := Moments{3000, 1396.87, 52377.9767}, Moments{3461, 2422.7, 134698.29}
	l, err := Lift(b, a)
	if err != nil {
		t.Fatal(err)
	}
	low, high := Tuning{.05, 1000}.Interval(l)
	near(t, "11 low", low, -.55844, 1e-4)
	near(t, "11 high", high, 1.56516, 1e-4)

	low, high = Tuning{.05, 5000}.Bounds(Difference(b, a))
	near(t, "12 low", low, -.12656844172804982, 1e-12)
	near(t, "12 high", high, .5953217750613832, 1e-12)

	pa, pb := 1396./3000, 2422./3461
	low, high = Tuning{.05, 5000}.Interval(lift(pa, pa*(1-pa), 3000, pb, pb*(1-pb), 3461))
	near(t, "13 low", low, .40098, 1e-4)
	near(t, "13 high", high, .60675, 1e-4)
}

// The hypothesis of oracle 3 is an order: the first is at least as likely as each of the others, given the shares. The e-value against
// it is that against the most likely distribution in it, for which the first and the last are pooled here.
func TestSharesOracle3(t *testing.T) {
	t.Parallel()
	s := Shares{Want: []float64{.1, .3, .6}, Concentration: 100}
	if err := s.Add(15, 82, 205); err != nil {
		t.Fatal(err)
	}
	pooled := 220. / 302
	theta := []float64{pooled / 7, 82. / 302, pooled * 6 / 7}
	e := s.LogE()
	for i, n := range s.Counts {
		e += float64(n) * math.Log(s.Want[i]/theta[i])
	}
	near(t, "3", math.Exp(-e), .04923546, 1e-6)
}
