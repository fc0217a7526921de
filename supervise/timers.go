package supervise

import "time"

// timers is a heap of the kids that wait for a moment, the next one first; equal moments in start order.
type timers []*kid

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	if t[i].due == t[j].due {
		return t[i].seq < t[j].seq
	}
	return t[i].due < t[j].due
}
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i]; t[i].slot, t[j].slot = i, j }
func (t *timers) Push(x any)   { k := x.(*kid); k.slot = len(*t); *t = append(*t, k) }
func (t *timers) Pop() any {
	last := len(*t) - 1
	k := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	return k
}

// tick serves the kids whose moment has come.
func (c *core) tick() {
	for len(c.timers) > 0 && c.timers[0].due <= c.at {
		k := c.timers[0]
		c.wakeAt(k, 0)
		if k.phase == stopping {
			c.finish(k)
		} else {
			c.retry(retry{kid: k, n: k.n})
		}
	}
}

// next is the moment of the next tick.
func (c *core) next() (time.Time, bool) {
	if len(c.timers) == 0 {
		return time.Time{}, false
	}
	return c.epoch.Add(time.Duration(c.timers[0].due)), true
}
