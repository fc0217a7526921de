package verify

import (
	"math/rand/v2"
	"testing"
	"time"
)

// What comes before the thresholds are known does not count, and they are fixed once.
func TestRegister(t *testing.T) {
	t.Parallel()
	p := Plan{Metrics: []Metric{{Name: "errors", Kind: Errors}, {Name: "latency", Kind: Latency}}}
	j, err := NewJudge(p, began)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Observe(began, "errors", Sample{Counts: []Batch{batch(100, 100, 0, 0)}}); err != nil {
		t.Fatal(err)
	}
	if v := j.Verdict(began, Need{}); v.Cause != NoData || v.Findings[1].E != 1 {
		t.Errorf("without thresholds: %s, %+v", v.Cause, v.Findings[1])
	}
	all := []Threshold{{Name: "p50", At: time.Second, Weight: 1}}
	for name, err := range map[string]error{
		"nothing": j.Register("latency", nil), "errors": j.Register("errors", all), "unknown": j.Register("latenzy", all),
		"negative": j.Register("latency", []Threshold{{Name: "p50", At: -1, Weight: 1}}),
	} {
		if err == nil {
			t.Errorf("%s: it is registered", name)
		}
	}
	if err := j.Register("latency", all); err != nil {
		t.Fatal(err)
	}
	if err := j.Register("latency", all); err == nil {
		t.Error("the thresholds were fixed twice")
	}
	if err := j.Observe(began, "latency", Sample{Counts: []Batch{batch(100, 100, 50, 50)}}); err != nil {
		t.Fatal(err)
	}
	if v := j.Verdict(began, Need{}); v.Outcome != BetterOrEqual {
		t.Error(v.Why)
	}
	if _, err := Resume(j.Plan(), j.State()); err != nil {
		t.Error("with the plan that it has now:", err)
	}
	if _, err := Resume(p, j.State()); err == nil {
		t.Error("with the plan of before it is resumed")
	}
}

// TestUsersWhoStay has users come at the beginning and meet an error each at some time, as often on both arms; most of the errors
// are met when no user is new.
func TestUsersWhoStay(t *testing.T) {
	t.Parallel()
	const users, looks = 2000, 100
	run := func(r *rand.Rand, candidate, baseline float64) Counts {
		var c Counts
		arms := [2]Arm{{AtRisk: users, Requests: users}, {AtRisk: users, Requests: users}}
		for range looks {
			arms[0].Bad, arms[1].Bad = binomial(r, arms[0].AtRisk, candidate), binomial(r, arms[1].AtRisk, baseline)
			if err := c.Add(Batch{Candidate: arms[0], Baseline: arms[1]}); err != nil {
				t.Fatal(err)
			}
			for i := range arms {
				arms[i] = Arm{AtRisk: arms[i].AtRisk - arms[i].Bad}
			}
		}
		return c
	}
	runs, rejected := 1000, 0
	if underRace {
		runs = 100
	}
	for i := range runs {
		if c := run(seeded(uint64(9000+i)), .0005, .0005); c.Most >= 4.6 {
			rejected++
		}
	}
	atMost(t, "users who stay", rejected, runs, .01)
	c := run(seeded(1), .002, .0005)
	if c.LogE() < 4.6 {
		t.Errorf("four times the errors are not seen: %v", c.LogE())
	}
	if n := c.Total.Candidate; n.Requests != users || n.Bad > users || n.AtRisk != 0 {
		t.Errorf("the total is %+v", n)
	}
	if err := c.Add(Batch{Candidate: Arm{AtRisk: 3, Bad: 4}}); err == nil {
		t.Error("more users met an error than there were")
	}
}

func TestFloorOfAGauge(t *testing.T) {
	t.Parallel()
	m := Metric{Name: "memory", Kind: Gauge, Floor: 16}
	p := Plan{Metrics: []Metric{m}}
	for level, worse := range map[float64]bool{24: false, 40: true} { // beside 10
		j, err := NewJudge(p, began)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if err := j.Observe(began.Add(time.Duration(i)*time.Second), "memory", Sample{Values: &[2]float64{level, 10}}); err != nil {
				t.Fatal(err)
			}
		}
		if got := j.Verdict(began.Add(time.Hour), Need{}).Outcome == Worse; got != worse {
			t.Errorf("%v beside 10, of which 16 are let pass: worse is %t", level, got)
		}
	}
	m.Floor = -1
	if m.Check() == nil {
		t.Error("a negative floor is taken")
	}
}
