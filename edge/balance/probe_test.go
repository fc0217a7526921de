package balance

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestProbe compares with the rule as one would say it: it changes when the last Rise, or Fall, probes all said otherwise.
func TestProbe(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := &Probe{Rise: rapid.IntRange(0, 4).Draw(t, "rise"), Fall: rapid.IntRange(0, 4).Draw(t, "fall")}
		rise, fall := p.Rise, p.Fall
		if rise == 0 {
			rise = 2
		}
		if fall == 0 {
			fall = 3
		}
		var h Health
		var seen []bool
		healthy := false
		for i, ok := range rapid.SliceOf(rapid.Bool()).Draw(t, "probes") {
			seen = append(seen, ok)
			need := fall
			if !healthy {
				need = rise
			}
			others := 0
			for j := len(seen) - 1; j >= 0 && seen[j] != healthy; j-- {
				others++
			}
			turns := i > 0 && others >= need
			var changed bool
			h, changed = p.Next(h, ok)
			if i == 0 {
				healthy, turns = ok, true
			} else if turns {
				healthy = !healthy
			}
			if changed != turns || h.Healthy != healthy || !h.Known {
				t.Fatalf("after %v: healthy %v, changed %v; want %v, %v", seen, h.Healthy, changed, healthy, turns)
			}
		}
	})
}

func TestProbeDelay(t *testing.T) {
	t.Parallel()
	p := &Probe{Interval: 10 * time.Second, Fast: time.Second, Jitter: 20}
	var h Health
	h, _ = p.Next(h, true)
	least, most := time.Hour, time.Duration(0)
	for i := range uint64(1000) {
		d := p.Delay(h, mix(i))
		least, most = min(least, d), max(most, d)
	}
	if least < 8*time.Second || least > 8200*time.Millisecond || most > 12*time.Second || most < 11800*time.Millisecond {
		t.Errorf("between %v and %v, want 10 s ± 20 %%", least, most)
	}
	h, _ = p.Next(h, false)
	if d := p.Delay(h, 1<<63); d < 990*time.Millisecond || d > 1010*time.Millisecond {
		t.Errorf("%v while a failure is being confirmed, want the fast one", d)
	}
	if d := (&Probe{}).Delay(h, 7); d != 10*time.Second {
		t.Errorf("%v by default", d)
	}
}
