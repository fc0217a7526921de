package supervise

import (
	"fmt"
	"math"
	"time"
)

// windowMax bounds the memory of a window under Persist, where nothing else ends a crash loop. A count that high only
// ever means "too many".
const windowMax = 4096

// window is the record of counted restarts that the intensity is measured on.
type window struct {
	at  []time.Time // oldest first
	up  bool        // given up: the limit was passed, and the window has not been empty since
	gen int         // grows each time the window is found empty
}

// prune forgets what is older than period. A restart exactly period ago still counts.
func (w *window) prune(now time.Time, period time.Duration) {
	w.at = w.at[old(w.at, now, period):]
	if len(w.at) == 0 {
		w.at, w.up = nil, false
		w.gen++
	}
}

func (w *window) push(now time.Time, intensity int) {
	if len(w.at) >= max(windowMax, intensity+1) {
		w.at = w.at[1:]
	}
	w.at = append(w.at, now)
}

// size is the number of restarts in the window at now, without changing it.
func (w *window) size(now time.Time, period time.Duration) int {
	return len(w.at) - old(w.at, now, period)
}

func old(at []time.Time, now time.Time, period time.Duration) int {
	i := 0
	for i < len(at) && now.Sub(at[i]) > period {
		i++
	}
	return i
}

// A verdict is what a supervisor does about an end or a failed start that calls for a restart.
type verdict struct {
	delay  time.Duration
	window int
	giveUp bool // the limit is passed
	words  string
}

// judge counts the restart that k needs now and says when it may be tried. An end by an outside hand is not counted.
func (c *core) judge(k *kid, external bool) verdict {
	c.window.prune(c.now, c.flags.Period)
	if external {
		return verdict{window: len(c.window.at), words: "restart at once"}
	}
	c.window.push(c.now, c.flags.Intensity)
	v := verdict{window: len(c.window.at)}
	v.giveUp = v.window > c.flags.Intensity
	if v.giveUp {
		v.words = fmt.Sprintf("give up: %d restarts in %v", v.window, c.flags.Period)
		if c.flags.GiveUp == Escalate {
			return v
		}
		c.window.up = true
	}
	v.delay = c.backoff(k)
	k.record().tries++
	soon := "restart at once"
	if v.delay > 0 {
		soon = "restart in " + legible(v.delay).String()
	}
	if v.giveUp {
		v.words += ", still " + soon
	} else {
		v.words = soon
	}
	return v
}

// backoff is the delay before the next attempt at k. Once given up there always is one, even for a child without a
// Backoff: Persist must never become a busy loop.
func (c *core) backoff(k *kid) time.Duration {
	p, b := k.record(), k.backoff
	if b == nil || b.Min <= 0 {
		if c.window.up {
			return c.flags.Period
		}
		return 0
	}
	if p.tries == 0 && !c.window.up {
		return 0
	}
	return b.delay(max(p.tries-1, 0), c.rand)
}

// delay is Min·Factor^step, varied by the jitter, at most Max.
func (b Backoff) delay(step int, rand func() float64) time.Duration {
	factor := b.Factor
	if factor < 1 {
		factor = 2
	}
	top := float64(max(b.Max, b.Min))
	d := min(float64(b.Min)*math.Pow(factor, float64(step)), top)
	if b.Jitter > 0 {
		d = min(d*(1+b.Jitter*(2*rand()-1)), top)
	}
	return time.Duration(d)
}

// healthy is the uptime after which k's back-off starts from the beginning.
func (c *core) healthy(k *kid) time.Duration {
	if k.backoff != nil && k.backoff.Reset > 0 {
		return k.backoff.Reset
	}
	return c.flags.Period
}

// legible cuts digits nobody reads.
func legible(d time.Duration) time.Duration {
	if d > 10*time.Millisecond {
		return d.Round(time.Millisecond)
	}
	return d
}
