package judging_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/control/judging"
	"semper/verify"
)

// TestMeans: what instances push is evidence, against the candidate too; and what nobody pushes holds the rollout, and no more.
func TestMeans(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		factor        float64 // of the candidate's values
		each          int     // values of a side, at a look; 0: none
		less          bool
		outcome       semper.Outcome
		cause, why    string
		alone, shadow bool
	}{
		"alike":                  {factor: 1, each: 20, outcome: semper.BetterOrEqual},
		"less of it":             {factor: .6, each: 20, outcome: semper.Worse, why: "revenue is"},
		"more of it":             {factor: 1.6, each: 20, outcome: semper.BetterOrEqual},
		"more of a cost":         {factor: 1.6, each: 20, less: true, outcome: semper.Worse, why: "revenue is"},
		"nothing comes":          {factor: 1, outcome: semper.Undecided, cause: "no-data", why: "revenue has no data"},
		"too little comes":       {factor: .1, each: 2, outcome: semper.Undecided, cause: "too-early", why: "takes 200 of each"},
		"of the candidate alone": {factor: 1, each: 20, alone: true, outcome: semper.Undecided, cause: "no-data", why: "revenue has no data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			terms := terms()
			terms.Judge.Metrics = []semper.MeanMetric{{Name: "revenue", Less: tc.less}}
			same := behaviour{errors: .001, median: 20 * time.Millisecond, memory: 100 << 20}
			w, r := newWorld(7, same, same), rand.New(rand.NewPCG(7, 7))
			w.rate = 600
			j := newJudge(t, terms)
			var all [2]verify.Moments
			var v semper.Verdict
			for i := range 70 {
				w.second()
				l := w.look()
				for range tc.each {
					all[0].Add(tc.factor * r.ExpFloat64())
					if !tc.alone {
						all[1].Add(r.ExpFloat64())
					}
				}
				if tc.each > 0 {
					l.Means = map[string][2]verify.Moments{"revenue": all}
				}
				var err error
				if v, err = j.Look(l); err != nil {
					t.Fatal(err)
				}
				if i == 35 { // control dies, and the next one goes on
					j = resumed(t, terms, j)
				}
			}
			if v.Outcome != tc.outcome || v.Cause != tc.cause || !strings.Contains(v.Why, tc.why) {
				t.Errorf("%s %q: %s", v.Outcome, v.Cause, v.Why)
			}
		})
	}
}

func resumed(t *testing.T, terms judging.Terms, j *judging.Judge) *judging.Judge {
	t.Helper()
	b, err := j.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if j, err = judging.Resume(terms, b); err != nil {
		t.Fatal(err)
	}
	return j
}

// TestMeansThatShrink are refused and told; and those of copies of requests, which are of no client, count for nothing.
func TestMeansThatShrink(t *testing.T) {
	t.Parallel()
	terms := terms()
	terms.Judge.Metrics = []semper.MeanMetric{{Name: "revenue"}}
	same := behaviour{errors: .001}
	w := newWorld(7, same, same)
	j := newJudge(t, terms)
	look := func(n int64) error {
		w.second()
		l := w.look()
		m := verify.Moments{N: n, Sum: float64(n), Squares: float64(n)}
		l.Means = map[string][2]verify.Moments{"revenue": {m, m}}
		_, err := j.Look(l)
		return err
	}
	w.step.Kind = semper.StepShadow
	if err := look(300); err != nil {
		t.Fatal(err)
	}
	w.step.Kind = semper.StepTraffic
	if err := look(310); err != nil {
		t.Fatal(err)
	}
	if err := look(305); err == nil || !strings.Contains(err.Error(), "only grow") {
		t.Errorf("values that shrink: %v", err)
	}
	for _, f := range j.Record().Findings {
		if f.Metric == "revenue" && f.Values[0].N != 10 {
			t.Errorf("%d values count, not the 10 of a client", f.Values[0].N)
		}
	}
}
