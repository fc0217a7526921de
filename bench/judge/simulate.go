package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"semper/verify"
)

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(20261121, n)) }

// A row is one change of the error rate, with the medians the design was made with.
type row struct {
	base, candidate float64
	same, large     int
}

var table = []row{
	{.001, .01, 1_282, 458}, {.001, .003, 9_630, 4_470}, {.001, .002, 31_350, 15_520}, {.001, .0015, 105_000, 52_000},
	{.01, .02, 3_104, 1_532}, {.01, .012, 61_000, 32_000}, {.0001, .001, 12_880, 4_560}, {.05, .06, 12_100, 6_400},
}

// alternatives are those of the design's table: the judge has one more, for releases that fail whole.
var alternatives = []float64{1.1, 1.25, 1.5, 2, 3, 5, 10, 30}

// jump is how many draws the next success of probability p takes.
func jump(r *rand.Rand, p float64) int64 {
	return int64(max(1, math.Ceil(math.Log(1-r.Float64())/math.Log1p(-p))))
}

// convict is how many requests of the candidate it takes, where the baseline has k for each: median / 90th percentile.
func convict(r *rand.Rand, what row, k int64, runs int) (string, error) {
	all := make([]int64, runs)
	for i := range all {
		c := verify.Counts{Ratios: alternatives}
		nextC, nextB := jump(r, what.candidate)*k, jump(r, what.base) // in requests of the baseline
		for c.LogE() < math.Log(100) {
			at := min(nextC, nextB)
			b := verify.Batch{Candidate: verify.Arm{Requests: 1}, Baseline: verify.Arm{Requests: k}}
			if nextC == at {
				b.Candidate.Bad = 1
				nextC += jump(r, what.candidate) * k
			}
			if nextB == at {
				b.Baseline.Bad = 1
				nextB += jump(r, what.base)
			}
			if err := c.Add(b); err != nil {
				return "", err
			}
			all[i] = at / k
		}
	}
	slices.Sort(all)
	return fmt.Sprintf("%d / %d", all[runs/2], all[runs*9/10]), nil
}

// errs is how often something is said of what is as good.
type errs struct{ runs, judge, naive int }

// nothingWrong looks 400 times at two arms that are alike.
func nothingWrong(r *rand.Rand, runs int) (e errs, err error) {
	const looks, n, p = 400, 200, .005
	e.runs = runs
	draw := func() (x int64) {
		for at := jump(r, p); at <= n; at += jump(r, p) {
			x++
		}
		return x
	}
	for range runs {
		var c verify.Counts
		naive := false
		for range looks {
			if err := c.Add(verify.Batch{Candidate: verify.Arm{Requests: n, Bad: draw()}, Baseline: verify.Arm{Requests: n, Bad: draw()}}); err != nil {
				return e, err
			}
			a, b := c.Total.Candidate, c.Total.Baseline
			all := float64(a.Requests)
			rate := float64(a.Bad+b.Bad) / (2 * all)
			z := float64(a.Bad-b.Bad) / all / math.Sqrt(2*rate*(1-rate)/all)
			naive = naive || z > 2.3263
		}
		if c.P() <= .01 {
			e.judge++
		}
		if naive {
			e.naive++
		}
	}
	return e, nil
}
