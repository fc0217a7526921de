package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"semper/verify"
)

// latencyLimit is the e-value that latency needs beside the other metrics of a rollout.
const latencyLimit = 333

// slower is one change of the share of slow requests.
type slower struct {
	what            string
	perSecond       int64 // requests of each side
	slow, slowAlone float64
}

// slowerTable has latencies of a lognormal distribution with sigma 0.6, where it says "a fifth slower": so many are beyond 1.1 times the quantile.
var slowerTable = []slower{
	{"all beyond the median", 20, 1, .5},
	{"a fifth slower, at the p50", 20, .558, .5},
	{"a fifth slower, at the p50", 100, .558, .5},
	{"a fifth slower, at the p90", 100, .128, .1},
	{"twice as many beyond the p99", 20, .02, .01},
	{"twice as many beyond the p99", 100, .02, .01},
}

func binomial(r *rand.Rand, n int64, p float64) (x int64) {
	if p >= 1 {
		return n
	}
	for at := jump(r, p); p > 0 && at <= n; at += jump(r, p) {
		x++
	}
	return x
}

// judges are the two that have to agree on latency.
type judges struct {
	counts verify.Counts
	paired verify.Paired
	at     time.Time
}

func newJudges() *judges {
	return &judges{counts: verify.Counts{Frequent: true}, at: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
}

// second gives both what happened in one.
func (j *judges) second(b verify.Batch) error {
	j.at = j.at.Add(time.Second)
	if err := j.counts.Add(b); err != nil {
		return err
	}
	return j.paired.Add(j.at, b)
}

// until is how many seconds counting alone takes, and how many it takes both.
func (s slower) until(r *rand.Rand) (counted, both int, err error) {
	j := newJudges()
	limit := math.Log(latencyLimit)
	for i := 1; both == 0; i++ {
		b := verify.Batch{
			Candidate: verify.Arm{Requests: s.perSecond, Bad: binomial(r, s.perSecond, s.slow)},
			Baseline:  verify.Arm{Requests: s.perSecond, Bad: binomial(r, s.perSecond, s.slowAlone)},
		}
		if err := j.second(b); err != nil {
			return 0, 0, err
		}
		if counted == 0 && j.counts.LogE() >= limit {
			counted = i
		}
		if counted > 0 && min(j.counts.LogE(), j.paired.LogE()) >= limit {
			both = i
		}
	}
	return counted, both, nil
}

// standing has sides of one process each, that stand still for 50 to 500 ms now and then, and 1 % of slow requests beside. It returns how many
// of the runs counting convicts, and how many both.
func standing(r *rand.Rand, every float64, runs int) (counted, both int, err error) {
	const seconds, perSecond = 600, 50
	for range runs {
		j, left := newJudges(), [2]float64{}
		most := math.Inf(-1)
		for range seconds {
			var arms [2]verify.Arm
			for a := range arms {
				still := min(left[a], 1)
				left[a] -= still
				if r.Float64() < 1/every {
					at, lasts := r.Float64(), .05+.45*r.Float64()
					left[a] += max(0, at+lasts-1)
					still = min(1, still+min(lasts, 1-at))
				}
				slow := binomial(r, perSecond, still)
				arms[a] = verify.Arm{Requests: perSecond, Bad: slow + binomial(r, perSecond-slow, .01)}
			}
			if err := j.second(verify.Batch{Candidate: arms[0], Baseline: arms[1]}); err != nil {
				return 0, 0, err
			}
			most = max(most, min(j.counts.LogE(), j.paired.LogE()))
		}
		if j.counts.P() <= .01 {
			counted++
		}
		if most >= math.Log(100) {
			both++
		}
	}
	return counted, both, nil
}

// bursts is the section on latency.
func bursts(w io.Writer, runs int) error {
	fmt.Fprintf(w, "\n## Latency, and processes that stand still\n\nSeconds until a release is found worse, median / 90th percentile of %d runs, at the evidence of %d that latency needs beside other metrics. Slices last %v.\n\n",
		runs, latencyLimit, verify.DefaultSlice)
	fmt.Fprint(w, "| what | slow of the candidate's requests | of the baseline's | requests of each, per second | by counting requests | and slices agree | requests by then |\n|---|---|---|---|---|---|---|\n")
	for i, s := range slowerTable {
		r := seeded(uint64(300 + i))
		counted, both := make([]int, runs), make([]int, runs)
		for k := range runs {
			var err error
			if counted[k], both[k], err = s.until(r); err != nil {
				return err
			}
		}
		slices.Sort(counted)
		slices.Sort(both)
		fmt.Fprintf(w, "| %s | %.3g %% | %.3g %% | %d | %d / %d | %d / %d | %d |\n", s.what, 100*s.slow, 100*s.slowAlone, s.perSecond,
			counted[runs/2], counted[runs*9/10], both[runs/2], both[runs*9/10], int64(both[runs/2])*s.perSecond)
	}
	fmt.Fprintf(w, "\nReleases that are as good, found worse in 10 minutes, when the one process of each side stands still for 50 to 500 ms now and then; %d runs each. 1 %% is allowed, and by chance it may be twice that in so few; in a rollout latency has a third of the budget.\n\n", runs)
	fmt.Fprint(w, "| a standstill every | by counting requests | and slices agree |\n|---|---|---|\n")
	for i, every := range []float64{1, 5, 20, 60} {
		counted, both, err := standing(seeded(uint64(320+i)), every, runs)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "| %g s | %.3g %% | %.2g %% |\n", every, 100*float64(counted)/float64(runs), 100*float64(both)/float64(runs))
	}
	return nil
}
