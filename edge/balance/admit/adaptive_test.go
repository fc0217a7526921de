package admit

import (
	"math"
	"sync"
	"testing"
	"time"
)

// A service of the simulation has so many workers; each request takes one of them for work. With more in flight than workers,
// all take longer: by Little's law inFlight / workers × work.
type service struct {
	workers float64
	work    time.Duration
}

func (s service) latency(inFlight int64) time.Duration {
	return time.Duration(float64(s.work) * max(1, float64(inFlight)/s.workers))
}

// offer keeps the service as busy as the bound allows, but with no more than most in flight, for so long.
func offer(a *Adaptive, now int64, s service, most int64, d time.Duration) int64 {
	for end := now + int64(d); now < end; {
		inFlight := min(a.Bound(), most)
		took := s.latency(inFlight)
		now += int64(took) / inFlight // one of those in flight ends
		a.Observe(now, took, inFlight)
	}
	return now
}

// equilibrium is where the bound stays, for latency in proportion to bound / workers: its base is 1.25 · workers then.
func equilibrium(workers float64) float64 { return 1.25*workers + math.Sqrt(1.25*workers) }

func TestAdaptiveFindsTheBound(t *testing.T) {
	t.Parallel()
	for _, workers := range []float64{4, 10, 50, 200} {
		a := NewAdaptive(AdaptivePolicy{}, 0)
		offer(a, 0, service{workers, 20 * time.Millisecond}, math.MaxInt64, 40*time.Second)
		want := equilibrium(workers)
		if got := float64(a.Bound()); math.Abs(got-want) > 0.1*want+1 {
			t.Errorf("%v workers: bound %v, want about %.1f", workers, got, want)
		}
		if float64(a.Bound()) < workers {
			t.Errorf("%v workers: bound %d leaves some idle", workers, a.Bound())
		}
	}
}

// TestAdaptiveFollows: the service becomes slower, and has fewer workers, and recovers.
func TestAdaptiveFollows(t *testing.T) {
	t.Parallel()
	a := NewAdaptive(AdaptivePolicy{}, 0)
	now := int64(0)
	for _, s := range []service{{40, 20 * time.Millisecond}, {10, 20 * time.Millisecond}, {10, 60 * time.Millisecond}, {40, 20 * time.Millisecond}} {
		now = offer(a, now, s, math.MaxInt64, 3*time.Minute)
		for a.g.measuring { // not in the moment in which it measures
			now = offer(a, now, s, math.MaxInt64, time.Second)
		}
		now = offer(a, now, s, math.MaxInt64, 5*time.Second)
		want := equilibrium(s.workers)
		if got := a.g.bound; math.Abs(got-want) > 0.15*want+1 {
			t.Errorf("%+v: bound %v, want about %.1f", s, got, want)
		}
	}
}

// TestAdaptiveMeasures: while it measures, the bound is the least.
func TestAdaptiveMeasures(t *testing.T) {
	t.Parallel()
	a := NewAdaptive(AdaptivePolicy{Least: 2}, 0)
	s := service{10, 20 * time.Millisecond}
	now := offer(a, 0, s, math.MaxInt64, 30*time.Second)
	if a.Bound() <= 2 {
		t.Fatalf("bound %d", a.Bound())
	}
	measured := false
	for range 600 {
		now = offer(a, now, s, math.MaxInt64, 100*time.Millisecond)
		measured = measured || a.g.measuring && a.Bound() == 2
	}
	if !measured || a.Bound() <= 2 {
		t.Errorf("measured within a minute: %v; bound %d", measured, a.Bound())
	}
	if !near(a.g.ideal, float64(s.work), 0.01) {
		t.Errorf("the ideal is %v, want %v", time.Duration(a.g.ideal), s.work)
	}
}

func near(got, want, part float64) bool { return math.Abs(got-want) <= part*math.Abs(want) }

// TestAdaptiveOfAnIdleService neither grows without reason nor makes anybody wait in order to measure.
func TestAdaptiveOfAnIdleService(t *testing.T) {
	t.Parallel()
	a := NewAdaptive(AdaptivePolicy{}, 0)
	s := service{100, 20 * time.Millisecond}
	now := offer(a, 0, s, 20, 20*time.Second)
	bound := a.Bound()
	if bound < 20 || bound > 60 {
		t.Errorf("bound %d with 20 in flight", bound)
	}
	for range 3000 {
		now = offer(a, now, service{100, 30 * time.Millisecond}, 4, 100*time.Millisecond)
		if a.Bound() < 4 {
			t.Fatal("requests wait for a measurement nobody needs")
		}
	}
	if !near(a.g.ideal, float64(30*time.Millisecond), 0.01) {
		t.Errorf("the ideal is %v, want that of the service now", time.Duration(a.g.ideal))
	}
}

// TestGradientStep is one step of the formula, by hand: bound 100, ideal 10 ms, buffer 25 %.
func TestGradientStep(t *testing.T) {
	t.Parallel()
	p := AdaptivePolicy{Least: 3, Most: 1000, Buffer: 25, Measure: time.Minute}
	for _, c := range []struct {
		latency float64 // ms
		want    float64
	}{{25, 50 + math.Sqrt(50)}, {100, 50 + math.Sqrt(50)}, {15.625, 80 + math.Sqrt(80)}, {12.5, 110}, {10, 125 + math.Sqrt(125)}, {5, 125 + math.Sqrt(125)}} {
		g := gradient{bound: 100, ideal: 10e6, measureAt: math.MaxInt64}
		if got := g.next(p, 0, 20*c.latency*1e6, 20, 100).bound; math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v ms: bound %v, want %v", c.latency, got, c.want)
		}
	}
}

// TestAdaptiveDoubtsTheIdeal: when all becomes slower, however few are in flight, it does not take until the next minute to see.
func TestAdaptiveDoubtsTheIdeal(t *testing.T) {
	t.Parallel()
	a := NewAdaptive(AdaptivePolicy{}, 0)
	now := offer(a, 0, service{40, 10 * time.Millisecond}, math.MaxInt64, 15*time.Second)
	offer(a, now, service{40, 200 * time.Millisecond}, math.MaxInt64, 25*time.Second)
	if !near(a.g.ideal, float64(200*time.Millisecond), 0.01) || a.g.bound < 20 {
		t.Errorf("after 25 s the ideal is %v, the bound %v", time.Duration(a.g.ideal), a.g.bound)
	}
}

// TestMeasureLeavesOutTheQueue: what was in flight before the measurement stood in the queue that it is to be without.
func TestMeasureLeavesOutTheQueue(t *testing.T) {
	t.Parallel()
	p := AdaptivePolicy{Least: 3, Most: 1000, Buffer: 25, Measure: time.Minute}
	g := gradient{bound: 50, ideal: 10e6, measuring: true}
	g = g.next(p, 1, 30*500e6, 30, 50)
	for range 10 {
		if !g.measuring {
			break
		}
		g = g.next(p, 2, 10*20e6, 10, 3)
	}
	if g.measuring || g.ideal != 20e6 || g.bound != 50 {
		t.Errorf("measuring %v, ideal %v, bound %v", g.measuring, time.Duration(g.ideal), g.bound)
	}
}

// TestAdaptiveThatIsNotHeeded gives up to measure, rather than do nothing for ever.
func TestAdaptiveThatIsNotHeeded(t *testing.T) {
	t.Parallel()
	a := NewAdaptive(AdaptivePolicy{}, 0)
	now := int64(0)
	for range 200_000 {
		now += int64(time.Millisecond)
		a.Observe(now, 20*time.Millisecond, 50)
	}
	if a.g.ideal == 0 || a.Bound() <= 3 {
		t.Errorf("after 200 s: ideal %v, bound %d", time.Duration(a.g.ideal), a.Bound())
	}
}

func TestAdaptiveOfMany(t *testing.T) {
	t.Parallel()
	a := NewAdaptive(AdaptivePolicy{Sampling: time.Millisecond}, 0)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range int64(20_000) {
				a.Observe(i*int64(20*time.Microsecond), time.Millisecond, min(a.Bound(), 10))
			}
		})
	}
	all.Wait()
	if b := a.Bound(); b < 3 || b > 1000 {
		t.Errorf("bound %d", b)
	}
}
