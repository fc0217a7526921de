package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"time"

	"semper/verify"
)

// costFile keeps what the newest run of -cost found, for the report.
const costFile = "bench/judge/cost.json"

// A Cost is the processor time of one second of judging.
type Cost struct {
	Rollouts int           `json:"rollouts"`
	Metrics  int           `json:"metrics"` // of each
	Decided  time.Duration `json:"decided_ns"`
	Told     time.Duration `json:"told_ns"` // all verdicts with their intervals, for a report
	On       string        `json:"on"`
}

// costly writes down what judging costs.
func costly(w io.Writer) error {
	c, err := costs()
	if err != nil {
		return err
	}
	c.write(w)
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(costFile, append(b, '\n'), 0o644)
}

// tellCost tells what was written down, if anything was.
func tellCost(w io.Writer) error {
	b, err := os.ReadFile(costFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var c Cost
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", costFile, err)
	}
	fmt.Fprint(w, "\n## What judging costs\n\n")
	c.write(w)
	return nil
}

func (c Cost) write(w io.Writer) {
	each := c.Decided / time.Duration(c.Rollouts*c.Metrics)
	fmt.Fprintf(w, "%d rollouts of %d metrics, all observed and decided once a second: %v of processor time, %.1f %% of a core where 10 %% are meant, and %v for a metric. All verdicts with their intervals, as for reports: %v. %s.\n",
		c.Rollouts, c.Metrics, c.Decided.Round(time.Millisecond), 100*c.Decided.Seconds(), each, c.Told.Round(time.Millisecond), c.On)
}

// used is the processor time of this process.
func used() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// costs measures a second of 100 rollouts with 1,000 metrics each; of several the cheapest, as the machine has other work too.
func costs() (c Cost, err error) {
	const rounds = 5
	c = Cost{Rollouts: 100, Metrics: 1000, On: fmt.Sprintf("%s, %d cores", runtime.Version(), runtime.NumCPU())}
	plan := verify.Plan{}
	for m := range c.Metrics {
		plan.Metrics = append(plan.Metrics, verify.Metric{Name: fmt.Sprintf("errors-%d", m), Kind: verify.Errors})
	}
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	judges := make([]*verify.Judge, c.Rollouts)
	for i := range judges {
		if judges[i], err = verify.NewJudge(plan, at); err != nil {
			return c, err
		}
	}
	r := seeded(7)
	for range rounds {
		at = at.Add(time.Second)
		began := used()
		for _, j := range judges {
			for m := range plan.Metrics {
				bad := verify.Batch{Candidate: verify.Arm{Requests: 100, Bad: r.Int64N(3)}, Baseline: verify.Arm{Requests: 100, Bad: r.Int64N(3)}}
				if err := j.Observe(at, plan.Metrics[m].Name, verify.Sample{Counts: []verify.Batch{bad}}); err != nil {
					return c, err
				}
			}
			if o, _ := j.Outcome(at, verify.Need{Time: time.Hour}); o == verify.BetterOrEqual {
				return c, errors.New("a verdict came before its time")
			}
		}
		if took := used() - began; c.Decided == 0 || took < c.Decided {
			c.Decided = took
		}
		began = used()
		for _, j := range judges {
			if v := j.Verdict(at, verify.Need{Time: time.Hour}); len(v.Findings) != c.Metrics {
				return c, fmt.Errorf("a verdict has %d findings", len(v.Findings))
			}
		}
		if took := used() - began; c.Told == 0 || took < c.Told {
			c.Told = took
		}
	}
	return c, nil
}
