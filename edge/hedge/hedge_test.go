package hedge

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const second = int64(time.Second)

func TestDelay(t *testing.T) {
	t.Parallel()
	p95 := Policy{Quantile: 0.95}
	for name, c := range map[string]struct {
		o      Policy
		took   func(i int) time.Duration
		n      int
		lo, hi time.Duration // hi 0: none
	}{
		"off":                        {Policy{}, ramp, 1000, 0, 0},
		"after a time":               {Policy{After: time.Millisecond}, ramp, 0, time.Millisecond, time.Millisecond},
		"too little is known":        {p95, ramp, 99, 0, 0},
		"the 95th percentile":        {p95, ramp, 1000, 930 * time.Millisecond, 970 * time.Millisecond},
		"the median":                 {Policy{Quantile: 0.5}, ramp, 1000, 485 * time.Millisecond, 515 * time.Millisecond},
		"never sooner than after":    {Policy{Quantile: 0.5, After: time.Second}, ramp, 1000, time.Second, time.Second},
		"never much sooner than all": {p95, func(int) time.Duration { return time.Microsecond }, 1000, least, least},
	} {
		var p Pace
		for i := range c.n {
			p.Note(0, c.took(i))
		}
		got, ok := p.Delay(0, c.o)
		if ok != (c.hi > 0) || ok && (got < c.lo || got > c.hi) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}

// ramp is 1 ms, 2 ms, … 1 s.
func ramp(i int) time.Duration { return time.Duration(i+1) * time.Millisecond }

// TestThePaceIsOfLately: what was a minute ago says nothing about now.
func TestThePaceIsOfLately(t *testing.T) {
	t.Parallel()
	var p Pace
	o := Policy{Quantile: 0.5}
	median := func(now int64) time.Duration {
		got, ok := p.Delay(now, o)
		if !ok {
			return 0
		}
		return got.Round(10 * time.Millisecond)
	}
	note := func(now int64, took time.Duration) {
		for range 1000 {
			p.Note(now, took)
		}
	}
	note(0, time.Second)
	if got := median(0); got.Round(100*time.Millisecond) != time.Second {
		t.Errorf("at first %v", got)
	}
	note(1, 100*time.Millisecond)
	note(1, 100*time.Millisecond)
	if got := median(1); got.Round(100*time.Millisecond) != time.Second {
		t.Errorf("at the same moment it is found anew: %v", got)
	}
	if got := median(second + 1); got != 100*time.Millisecond {
		t.Errorf("a second later %v", got)
	}
	if got := median(45 * second); got != 100*time.Millisecond {
		t.Errorf("in the next window %v", got)
	}
	note(46*second, 300*time.Millisecond)
	if got := median(80 * second); got != 300*time.Millisecond {
		t.Errorf("the window before says %v", got)
	}
	if got := median(200 * second); got != 0 {
		t.Errorf("long ago was %v, and it is known still", got)
	}
}

// TestTheDelayStaysWhereItIs: second attempts shorten what is slow, and the quantile of what they leave is the same.
func TestTheDelayStaysWhereItIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := Policy{Quantile: rapid.SampledFrom([]float64{0.5, 0.9, 0.95}).Draw(t, "quantile")}
		firsts := rapid.SliceOfN(rapid.IntRange(20, 5000), 200, 400).Draw(t, "first")
		var alone, hedged Pace
		for _, ms := range firsts {
			alone.Note(0, time.Duration(ms)*time.Millisecond)
		}
		delay, ok := alone.Delay(0, o)
		if !ok {
			t.Fatal("nothing is known")
		}
		for _, ms := range firsts {
			took := time.Duration(ms) * time.Millisecond
			if took > delay {
				took = min(took, delay+time.Duration(rapid.IntRange(0, 5000).Draw(t, "second"))*time.Millisecond)
			}
			hedged.Note(0, took)
		}
		if got, _ := hedged.Delay(0, o); got > delay+delay/10 || got < delay-delay/10 {
			t.Fatalf("it was %v, and is %v", delay, got)
		}
	})
}

// TestEveryRace goes through all orders in which one or two attempts end.
func TestEveryRace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ends []bool // answered
		want []Verdict
	}{
		{[]bool{true}, []Verdict{Take}},
		{[]bool{false}, []Verdict{Last}},
		{[]bool{true, false}, []Verdict{Take}},
		{[]bool{false, true}, []Verdict{Wait, Take}},
		{[]bool{false, false}, []Verdict{Wait, Last}},
	} {
		var r Race
		for range c.ends {
			r.Begin()
		}
		for i, answered := range c.ends[:len(c.want)] {
			if got := r.End(answered); got != c.want[i] {
				t.Errorf("%v: end %d is %d, want %d", c.ends, i+1, got, c.want[i])
			}
		}
	}
}

func TestAPaceOfMany(t *testing.T) {
	t.Parallel()
	var p Pace
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range int64(2000) {
				p.Note(n*second/10, ramp(i))
				p.Delay(n*second/10, Policy{Quantile: 0.95})
			}
		})
	}
	all.Wait()
	if _, ok := p.Delay(200*second, Policy{Quantile: 0.95}); !ok {
		t.Error("nothing is known of the last half minute")
	}
}
