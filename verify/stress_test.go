package verify

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// The stress of verification.md, 2h.4 and 2h.5, beyond the arrangements of simulate_test.go.

// TestAffectedUsersUnderBursts is the other side of TestConfiguredShareAndBurstsAreTraps: the errors of a user come many at a time, and who
// counts users that met one, by who was at risk, keeps the bound. Rates drift, and the share grows.
func TestAffectedUsersUnderBursts(t *testing.T) {
	t.Parallel()
	r := seeded(300)
	const looks = 300
	runs := 1_000
	if underRace {
		runs = 200
	}
	users, requests := 0, 0
	for range runs {
		var byUser, byRequest Counts
		for look := range looks {
			p := .004 * (1 + .8*math.Sin(float64(look)/20))
			share := []float64{.05, .2, .5}[look/100]
			n := 200 + r.Int64N(50)
			nc := binomial(r, n, share)
			nb := n - nc
			xc, xb := binomial(r, nc, p), binomial(r, nb, p)
			byUser.Add(batch(nc, nb, xc, xb)) //nolint:errcheck // it can be
			errors := func(users int64) (sum int64) {
				for range users {
					sum += jump(r, .1) // ten in the mean
				}
				return sum
			}
			byRequest.Add(batch(100*nc, 100*nb, errors(xc), errors(xb))) //nolint:errcheck // the same
		}
		if byUser.P() <= .01 {
			users++
		}
		if byRequest.P() <= .01 {
			requests++
		}
	}
	atMost(t, "users", users, runs, .01)
	if requests < runs/5 {
		t.Errorf("%d of %d runs reject when requests are counted: these are no bursts", requests, runs)
	}
}

// TestMarginAtItWhereErrorsAreFrequent is a null that no proof covers: 30 % and 36 % with a margin of 1.2.
func TestMarginAtItWhereErrorsAreFrequent(t *testing.T) {
	t.Parallel()
	r := seeded(301)
	runs, rejected := 1_000, 0
	if underRace {
		runs = 200
	}
	for range runs {
		c := Counts{Margin: 1.2}
		for range 300 {
			c.Add(batch(50, 50, binomial(r, 50, .36), binomial(r, 50, .3))) //nolint:errcheck // it can be
		}
		if c.P() <= .01 {
			rejected++
		}
	}
	atMost(t, "margin", rejected, runs, .01)
}

// TestManyMetricsShareTheBudget: the mean of ten e-values, half of which are of the same requests, is looked at all the time.
func TestManyMetricsShareTheBudget(t *testing.T) {
	t.Parallel()
	r := seeded(302)
	runs, at05, at01 := 500, 0, 0
	if underRace {
		runs = 100
	}
	for range runs {
		var all [10]Counts
		most := 0.0
		for range 200 {
			shared := batch(100, 100, binomial(r, 100, .01), binomial(r, 100, .01))
			sum := 0.0
			for m := range all {
				b := shared
				if m%2 == 0 {
					b = batch(100, 100, binomial(r, 100, .01), binomial(r, 100, .01))
				}
				all[m].Add(b) //nolint:errcheck // it can be
				sum += math.Exp(all[m].LogE())
			}
			most = max(most, sum/float64(len(all)))
		}
		if most >= 20 {
			at05++
		}
		if most >= 100 {
			at01++
		}
	}
	atMost(t, "ten metrics", at05, runs, .05)
	atMost(t, "ten metrics", at01, runs, .01)
}

// TestSlicesNulls has levels that wander, tails that are heavy, and errors that come many at a time within a slice.
func TestSlicesNulls(t *testing.T) {
	t.Parallel()
	for i, level := range []func(r *rand.Rand, walk *float64) float64{
		func(r *rand.Rand, walk *float64) float64 { return *walk + r.NormFloat64() },
		func(r *rand.Rand, walk *float64) float64 { return *walk + math.Tan(math.Pi*(r.Float64()-.5)) }, // Cauchy: it has no mean
		func(r *rand.Rand, _ *float64) float64 { return float64(10 * binomial(r, 100, .002)) },
	} {
		r := seeded(uint64(310 + i))
		runs, at05, at01 := 1_500, 0, 0
		if underRace {
			runs = 300
		}
		for range runs {
			var s Slices
			walk := 100.0
			for range 720 {
				walk += r.NormFloat64() // the same for both
				if err := s.Add(level(r, &walk), level(r, &walk)); err != nil {
					t.Fatal(err)
				}
			}
			if s.P() <= .05 {
				at05++
			}
			if s.P() <= .01 {
				at01++
			}
		}
		atMost(t, "slices", at05, runs, .05)
		atMost(t, "slices", at01, runs, .01)
	}
}

// TestMismatchIsSeen: a fifth more than declared is told, and what is as declared is not, at one in a thousand.
func TestMismatchIsSeen(t *testing.T) {
	t.Parallel()
	r := seeded(320)
	const looks = 200
	runs := 1_000
	if underRace {
		runs = 200
	}
	count := func(runs int, share float64) (told int) {
		for range runs {
			s := Shares{Want: []float64{.1, .9}}
			most := 0.0
			for range looks {
				n := 500 + r.Int64N(100)
				c := binomial(r, n, share)
				if err := s.Add(c, n-c); err != nil {
					t.Fatal(err)
				}
				most = max(most, s.LogE())
			}
			if most >= -math.Log(DefaultMismatchAlpha) {
				told++
			}
		}
		return told
	}
	atMost(t, "as declared", count(runs, .1), runs, DefaultMismatchAlpha)
	if told := count(100, .12); told < 95 {
		t.Errorf("of 100 runs with a fifth too much %d are told", told)
	}
}

// TestEvidenceHasItsSymmetries: 2h.5.
func TestEvidenceHasItsSymmetries(t *testing.T) {
	t.Parallel()
	whole, parts := Counts{}, Counts{}
	near(t, "a batch in two halves of one share", e(t, &parts, batch(50, 150, 4, 1), batch(50, 150, 3, 2)), e(t, &whole, batch(100, 300, 7, 3)), 1e-12)
	before := whole.LogE()
	near(t, "a batch without errors", e(t, &whole, batch(1000, 10, 0, 0)), math.Exp(before), 0)
	for _, x := range []int64{0, 2, 5, 10} {
		toward, away := Counts{Ratios: []float64{2}}, Counts{Ratios: []float64{2}}
		e(t, &toward, batch(100, 100, 10+x, 10))
		e(t, &away, batch(100, 100, 10, 10+x))
		if up, down := toward.LogE(), away.LogE(); x > 0 && !(up > down) || math.Abs(up-down-float64(x)*math.Log(2)) > 1e-9 {
			t.Errorf("with %d more: %v one way, %v the other", x, up, down)
		}
	}
}

// TestWhatKayentaPassed are two canaries that Kayenta's judge let pass (verification.md, 2i, 19): neither may pass here.
func TestWhatKayentaPassed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		bad    []int64 // of the candidate, in each slice of 1,000 requests
		ok     int64   // of the baseline
		repeat int     // until it is known
	}{
		"spinnaker#6278": {[]int64{100, 100, 100, 100, 100, 100, 100, 1, 1, 1}, 1, 1},
		"kayenta#426":    {[]int64{0, 1, 2, 1, 0, 0}, 0, 6},
	} {
		j, err := NewJudge(Plan{Metrics: []Metric{{Name: "errors", Kind: Errors, Floor: -1}}}, began)
		if err != nil {
			t.Fatal(err)
		}
		at := began
		need := Need{Time: time.Hour}
		for i := range tc.repeat {
			for _, x := range tc.bad {
				at = at.Add(time.Minute)
				if err := j.Observe(at, "errors", Sample{Counts: []Batch{batch(1000, 1000, x, tc.ok)}}); err != nil {
					t.Fatal(err)
				}
			}
			if v := j.Verdict(at, Need{}); i == 0 && v.Findings[0].E <= 4 {
				t.Errorf("%s: after the published slices the evidence is %v", name, v.Findings[0].E)
			}
			if v := j.Verdict(at, need); v.Outcome == BetterOrEqual {
				t.Errorf("%s passes", name)
			}
		}
		if v := j.Verdict(at, need); v.Outcome != Worse {
			t.Errorf("%s: %s after %d times the slices that were published: %s", name, v.Outcome, tc.repeat, v.Why)
		}
	}
}
