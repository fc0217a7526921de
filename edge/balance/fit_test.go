package balance

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	members := alike(2)
	p := NewPicker(Options{MaxInFlight: 1}, members)
	pick := func() Verdict { _, v := p.Pick(Query{Now: started}); return v }
	if v := pick(); v != Picked {
		t.Errorf("verdict %d of an idle pool", v)
	}
	inHand(members[0], 1)
	inHand(members[1], 1)
	if v := pick(); v != AllBusy {
		t.Errorf("verdict %d of a busy pool", v)
	}
	members[0].SetDown(true, started)
	members[1].SetDown(true, started)
	if v := pick(); v != NoneFit {
		t.Errorf("verdict %d of a pool that is down", v)
	}
	if _, v := NewPicker(Options{Policy: Maglev}, nil).Pick(Query{}); v != NoneFit {
		t.Errorf("verdict %d of an empty pool", v)
	}
}

// TestPanic has Envoy's cases: with a threshold of 50, 50 % of fit backends are no panic, fewer are.
func TestPanic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, unfit, threshold, from int }{
		{4, 0, 0, 4}, {4, 1, 0, 3}, {4, 2, 0, 2}, {4, 3, 0, 4}, {4, 4, 0, 4}, {1, 1, 0, 1},
		{4, 3, -1, 1}, {4, 4, -1, 0}, {10, 7, 30, 3}, {10, 8, 30, 10},
	} {
		members := alike(c.n)
		p := NewPicker(Options{Panic: c.threshold}, members)
		for _, m := range members[:c.unfit] {
			m.SetHealthy(false, started)
		}
		if got := p.Fit(started); got != c.from {
			t.Errorf("%d of %d unfit, threshold %d: picked from %d, want %d", c.unfit, c.n, c.threshold, got, c.from)
		}
		if want := c.from > c.n-c.unfit; p.Panicking(started) != want {
			t.Errorf("%d of %d unfit, threshold %d: panic %v", c.unfit, c.n, c.threshold, !want)
		}
	}
}

func TestPanicSparesTheDead(t *testing.T) {
	t.Parallel()
	members := alike(4)
	p := NewPicker(Options{}, members)
	members[0].SetDown(true, started)
	members[1].SetDown(true, started)
	members[2].SetHealthy(false, started)
	if got := p.Fit(started); got != 2 || !p.Panicking(started) {
		t.Errorf("picked from %d, want the unhealthy one and the fit one", got)
	}
}

func TestSlowStart(t *testing.T) {
	t.Parallel()
	members := pool(10, 10)
	const window = 10 * time.Second
	p := NewPicker(Options{SlowStart: window, Policy: RoundRobin}, members)
	begin := started
	members[1].SetDown(true, begin)
	p.Fit(begin)
	members[1].SetDown(false, begin)
	for _, c := range []struct {
		after time.Duration
		part  float64
	}{{0, 0.1}, {window / 20, 0.1}, {window / 4, 0.25}, {window / 2, 0.5}, {window, 1}, {time.Minute, 1}} {
		v := p.current(begin + int64(c.after))
		if got := float64(v.fit[1].weight) / float64(v.fit[0].weight); math.Abs(got-c.part) > 0.02 {
			t.Errorf("after %v it weighs %.3f of the other, want %.3f", c.after, got, c.part)
		}
		got := 0
		for range 1100 {
			if b, _ := p.Pick(Query{Now: begin + int64(c.after)}); b == members[1].Backend {
				got++
			}
		}
		if want := 1100 * c.part / (1 + c.part); math.Abs(float64(got)-want) > 25 {
			t.Errorf("after %v it gets %d of 1100, want about %.0f", c.after, got, want)
		}
	}
	if v := p.current(begin + int64(2*window)); v.until != math.MaxInt64 {
		t.Error("the list is made anew although nothing starts")
	}
}

// TestWhatIsLeftOutIsNotPicked: a pick that begins after SetDown has returned does not lead there, while others change.
func TestWhatIsLeftOutIsNotPicked(t *testing.T) {
	t.Parallel()
	for _, policy := range everyPolicy {
		members := alike(5)
		p := NewPicker(Options{Policy: policy, TableSize: 101, SlowStart: time.Millisecond}, members)
		var over atomic.Bool
		var others sync.WaitGroup
		var now atomic.Int64
		others.Go(func() {
			for i := 0; !over.Load(); i++ {
				members[1+i%2].SetHealthy(i%4 < 2, now.Load())
			}
		})
		others.Go(func() {
			r := rand.New(rand.NewPCG(1, 1))
			for !over.Load() {
				p.Pick(Query{Now: now.Load(), Random: r.Uint64(), Key: r.Uint64()})
			}
		})
		r := rand.New(rand.NewPCG(2, 2))
		for range 2000 {
			members[0].SetDown(true, now.Add(1000))
			for range 5 {
				if b, _ := p.Pick(Query{Now: now.Load(), Random: r.Uint64(), Key: r.Uint64()}); b == members[0].Backend {
					t.Errorf("%v picks what was set down before", policy)
				}
			}
			members[0].SetDown(false, now.Add(1000))
		}
		over.Store(true)
		others.Wait()
	}
}
