package judging_test

import (
	"strings"
	"testing"
	"time"

	"semper"
	"semper/control/judging"
	"semper/edge/mirror/told"
	"semper/verify/diff"
)

// TestErrorsConvict is the table's first row, .1 % to 1 % against a baseline of the same size: 1,282 requests of the candidate in the median.
// Here the errors have half of the budget beside other metrics and 1.25 times as many are let pass, for which the evidence must be
// about a fifth more.
func TestErrorsConvict(t *testing.T) {
	t.Parallel()
	var all []int64
	runs := uint64(60)
	if underRace {
		runs = 11
	}
	for seed := range runs {
		w := newWorld(seed, behaviour{errors: .001}, behaviour{errors: .01})
		j := newJudge(t, terms())
		v := run(t, j, w, 400)
		if v.Outcome != semper.Worse || v.Metric != "errors" || v.E < v.Limit || v.Rollout != "d-7" {
			t.Fatalf("seed %d: %+v", seed, v)
		}
		all = append(all, candidates(j))
	}
	m := median(all)
	t.Logf("median %d requests of the candidate", m)
	if m < 900 || m > 2000 {
		t.Errorf("it takes %d requests in the median", m)
	}
}

// TestSameIsNotConvicted has releases that are alike, looked at each second, through steps and an edge's restart.
func TestSameIsNotConvicted(t *testing.T) {
	t.Parallel()
	runs, worse := 40, 0
	if underRace {
		runs = 4
	}
	for seed := range uint64(runs) {
		same := behaviour{errors: .004, median: 20 * time.Millisecond, memory: 100 << 20}
		w := newWorld(1000+seed, same, same)
		w.rate = 100
		w.edges = []string{"edge-1@0", "edge-2@0"}
		j := newJudge(t, terms())
		for i, share := range []float64{.05, .25, .5} {
			w.share, w.index, w.since, w.step.Share = share, i, w.now, share
			v := run(t, j, w, 61)
			if v.Outcome == semper.Worse {
				worse++
				t.Log(v.Why)
				break
			}
			if i == 2 && v.Outcome != semper.BetterOrEqual {
				t.Errorf("seed %d: %s %s: %s", seed, v.Outcome, v.Cause, v.Why)
			}
			w.restart(i % 2)
		}
	}
	if worse > 2 {
		t.Errorf("%d of %d are found worse", worse, runs)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	sound := behaviour{errors: .001, median: 20 * time.Millisecond, memory: 100 << 20}
	for name, tc := range map[string]struct {
		change  func(b *behaviour)
		world   func(w *world)
		terms   func(t *judging.Terms)
		seconds int
		outcome semper.Outcome
		cause   string
		why     string
	}{
		"alike":                     {seconds: 70, outcome: semper.BetterOrEqual, why: "nothing speaks against"},
		"too early":                 {seconds: 40, outcome: semper.Undecided, cause: "too-early", why: "still to come"},
		"few requests":              {seconds: 70, world: func(w *world) { w.step.Requests = 1e6 }, outcome: semper.Undecided, cause: "too-early", why: "asks for 1000000"},
		"no traffic":                {seconds: 70, world: func(w *world) { w.rate = 0 }, outcome: semper.Undecided, cause: "no-data", why: "no request of r8"},
		"edges behind":              {seconds: 70, world: func(w *world) { w.since = time.Time{} }, outcome: semper.Undecided, cause: "settling"},
		"a fifth slower":            {seconds: 300, change: func(b *behaviour) { b.slower = .2 }, outcome: semper.Worse, why: "latency"},
		"a stall in every request":  {seconds: 300, change: func(b *behaviour) { b.stall = 15 * time.Millisecond }, outcome: semper.Worse, why: "latency"},
		"less than anybody notices": {seconds: 70, change: func(b *behaviour) { b.stall = 500 * time.Microsecond }, outcome: semper.BetterOrEqual},
		"a leak":                    {seconds: 900, change: func(b *behaviour) { b.leak = 200 << 10 }, outcome: semper.Worse, why: "memory"},
		"all fail":                  {seconds: 10, change: func(b *behaviour) { b.errors = 1 }, outcome: semper.Worse, why: "errors"},
		"warm-up": {
			seconds: 30, change: func(b *behaviour) { b.errors = 1 }, terms: func(t *judging.Terms) { t.Judge.WarmUp = semper.Duration(time.Minute) },
			outcome: semper.Undecided, cause: "no-data", why: "warm-up lasts",
		},
		"against the stable one": {
			seconds: 120, world: func(w *world) { w.against = semper.BaselineStable }, terms: func(t *judging.Terms) { t.Against = semper.BaselineStable },
			change: func(b *behaviour) { b.memory = 1 << 30 }, outcome: semper.BetterOrEqual, why: "memory is not judged",
		},
		"a pause": {seconds: 2, world: func(w *world) { w.step = semper.Step{Kind: semper.StepPause} }, outcome: semper.BetterOrEqual},
		"a share of all": {
			seconds: 70, world: func(w *world) { w.share = 1 }, outcome: semper.BetterOrEqual,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			candidate := sound
			if tc.change != nil {
				tc.change(&candidate)
			}
			w := newWorld(7, sound, candidate)
			w.rate = 600
			terms := terms()
			if tc.world != nil {
				tc.world(w)
			}
			if tc.terms != nil {
				tc.terms(&terms)
			}
			v := run(t, newJudge(t, terms), w, tc.seconds)
			if v.Outcome != tc.outcome || v.Cause != tc.cause || !strings.Contains(v.Why, tc.why) {
				t.Errorf("%s %q: %s", v.Outcome, v.Cause, v.Why)
			}
			if v.Outcome == semper.Worse && !strings.HasPrefix(v.Metric, tc.why) {
				t.Errorf("the metric is %q", v.Metric)
			}
			t.Log(v.Why)
		})
	}
}

// A third more than was declared comes to the candidate, so that something else than chance says who gets it.
func TestMismatch(t *testing.T) {
	t.Parallel()
	w := newWorld(3, behaviour{}, behaviour{})
	w.share = .4
	j := newJudge(t, terms())
	var v semper.Verdict
	for range 70 {
		w.second()
		l := w.look()
		l.Share = .3
		for i := range l.Counts {
			if l.Counts[i].Arm == semper.ArmBaseline {
				l.Counts[i].Assigned = l.Counts[i].Assigned * 3 / 4
			}
		}
		var err error
		if v, err = j.Look(l); err != nil {
			t.Fatal(err)
		}
	}
	if v.Outcome != semper.Undecided || v.Cause != "ratio-mismatch" {
		t.Errorf("%s %s: %s", v.Outcome, v.Cause, v.Why)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		later   float64 // the candidate's errors after the cutover
		outcome semper.Outcome
	}{"as before": {.001, semper.BetterOrEqual}, "ten times as many": {.01, semper.Worse}, "half as many again": {.0014, semper.BetterOrEqual}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(5, behaviour{errors: .001}, behaviour{errors: .001})
			j := newJudge(t, terms())
			run(t, j, w, 60)
			w.watch, w.index, w.step = true, 1, semper.Step{}
			w.releases["r8"] = behaviour{errors: tc.later}
			v := run(t, j, w, 120)
			if v.Outcome != tc.outcome || v.Step != 1 {
				t.Errorf("%+v", v)
			}
			t.Log(v.Why)
			if got := j.Record().Watch.Candidate.Requests; tc.outcome != semper.Worse && got != 120*1000 {
				t.Errorf("%d requests of 120,000 are watched", got)
			}
		})
	}
	t.Run("nothing known", func(t *testing.T) {
		t.Parallel()
		w := newWorld(5, behaviour{}, behaviour{errors: 1})
		w.watch = true
		if v := run(t, newJudge(t, terms()), w, 10); v.Outcome != semper.Undecided || v.Cause != "no-data" {
			t.Errorf("%+v", v)
		}
	})
}

// shadow is what an edge says of copies that always differ at one place by themselves, and only times at another.
func shadow(rollout string, pairs uint64, only int64) told.Counts {
	noise := diff.Tally{Endpoint: "GET /", Path: diff.Path{"body", "id"}, Kind: diff.Changed, Seen: int64(pairs), Noise: int64(pairs)}
	c := told.Counts{Edge: "edge-1@0", Pool: "shop/production/web", Rollout: rollout, Release: "r8", Sampled: pairs, Pairs: pairs, Copies: pairs, Places: []diff.Tally{noise}}
	if only > 0 {
		c.Places = append(c.Places, diff.Tally{Endpoint: "GET /", Path: diff.Path{"body", "price"}, Kind: diff.Changed, Seen: only, Candidate: only})
	}
	return c
}

// What a shadow's copies answer is a matter of its own: no client had any of it.
func TestShadowStep(t *testing.T) {
	t.Parallel()
	terms := terms()
	terms.Shadow = true
	for only, outcome := range map[int64]semper.Outcome{0: semper.BetterOrEqual, 2: semper.Worse} {
		w := newWorld(1, behaviour{}, behaviour{})
		w.step = semper.Step{Kind: semper.StepShadow, Share: .1, For: semper.Duration(10 * time.Second), Requests: 100}
		w.share, w.rate = 0, 0
		j := newJudge(t, terms)
		w.second()
		if v, err := j.Look(w.look()); err != nil || v.Cause != "no-data" {
			t.Errorf("without pairs: %+v, %v", v, err)
		}
		var v semper.Verdict
		for i := range uint64(20) {
			w.second()
			l := w.look()
			l.Shadows = []told.Counts{shadow("d-7", 20*(i+1), only*int64(i+1)), shadow("d-6", 9, 9)}
			var err error
			if v, err = j.Look(l); err != nil {
				t.Fatal(err)
			}
		}
		if n := candidates(j); n != 400 && outcome != semper.Worse {
			t.Errorf("%d pairs count", n)
		}
		l := w.look()
		l.At = l.At.Add(time.Second)
		l.Shadows = []told.Counts{shadow("d-7", 1, 0)}
		if _, err := j.Look(l); err == nil {
			t.Error("a counter that went back is taken")
		}
		if v.Outcome != outcome {
			t.Errorf("%d of 20 differ: %s %s %s", only, v.Outcome, v.Cause, v.Why)
		}
	}
}
