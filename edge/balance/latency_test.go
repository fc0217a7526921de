package balance

import (
	"math"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func near(got, want, part float64) bool { return math.Abs(got-want) <= part*math.Abs(want) }

// TestLatencyFollowsTheFormula compares with the formula in float64, at times of whole ticks.
func TestLatencyFollowsTheFormula(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var l Latency
		var average, at float64
		now := int64(rapid.Uint32().Draw(t, "begin")) << tickShift
		for range rapid.IntRange(1, 50).Draw(t, "n") {
			now += int64(rapid.IntRange(1, 500_000).Draw(t, "ticks")) << tickShift
			took := rapid.Float64Range(1e3, 1e10).Draw(t, "took")
			took = math.Floor(took)
			l.Observe(now, time.Duration(took))
			if took > average {
				average = took
			} else {
				w := math.Exp(-(float64(now) - at) / float64(decay))
				average = average*w + took*(1-w)
			}
			at = float64(now)
			if got := l.Load(now); !near(got, average, 1e-4) {
				t.Fatalf("average %v, want %v", got, average)
			}
		}
		later := now + int64(rapid.IntRange(0, 1_000_000).Draw(t, "later"))<<tickShift
		want := average * math.Exp(-(float64(later)-at)/float64(decay))
		if got := l.Load(later); !near(got, want, 1e-4) {
			t.Fatalf("decayed to %v, want %v", got, want)
		}
	})
}

func TestLatencyRisesAtOnceAndFallsSlowly(t *testing.T) {
	t.Parallel()
	var l Latency
	now := started
	for range 1000 {
		now += int64(time.Millisecond)
		l.Observe(now, time.Millisecond)
	}
	l.Observe(now, time.Second)
	if got := l.Load(now); got != float64(time.Second) {
		t.Errorf("%v after a peak of a second", time.Duration(got))
	}
	half := now + int64(math.Round(float64(decay)*math.Ln2))
	for now < half {
		now += int64(time.Millisecond)
		l.Observe(now, time.Millisecond)
	}
	if got := time.Duration(l.Load(now)); !near(float64(got), 0.5e9, 0.02) {
		t.Errorf("%v after τ ln 2 of fast answers, want about half a second", got)
	}
}

func TestLatencyOfLoopsWithOtherClocks(t *testing.T) {
	t.Parallel()
	var l Latency
	l.Observe(started, 10*time.Millisecond)
	l.Observe(started-int64(30*time.Second), time.Millisecond)
	if got := l.Load(started - int64(30*time.Second)); !near(got, 10e6, 1e-6) {
		t.Errorf("%v, as if hours had passed", time.Duration(got))
	}
	l.Observe(started-int64(30*time.Second), 20*time.Millisecond)
	if got := l.Load(started); !near(got, 20e6, 1e-6) {
		t.Errorf("%v: a late peak must not move the clock back", time.Duration(got))
	}
}

func TestLatencyOfNothing(t *testing.T) {
	t.Parallel()
	var l Latency
	if l.Load(started) != 0 {
		t.Error("a latency that nobody observed")
	}
	l.Observe(started, 0)
	if l.Load(started) == 0 {
		t.Error("an answer in no time is an answer")
	}
}

func TestLatencyOfMany(t *testing.T) {
	t.Parallel()
	var l Latency
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 5000 {
				l.Observe(started+int64(j)*int64(time.Millisecond), time.Duration(1+i)*time.Millisecond)
			}
		})
	}
	all.Wait()
	if got := l.Load(started + 5000*int64(time.Millisecond)); got < 1e6 || got > 4e6 {
		t.Errorf("%v is outside of what was observed", time.Duration(got))
	}
}
