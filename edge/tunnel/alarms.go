package tunnel

import (
	"sync"
	"time"
)

// alarms call many tunnels, each at its time, by one timer: one for each tunnel would be a fifth of what it costs, and
// as many again that are stopped may lie in the runtime's heap of timers with all that hangs on them.
type alarms struct {
	all *Tunnels

	mu    sync.Mutex // guards what follows; it is taken within that of a tunnel, or alone
	heap  []alarm    // the soonest first
	timer *time.Timer
}

type alarm struct {
	at instant
	of *Tunnel
}

// set has t's tick called at at, instead of when that was planned before. It reports whether there was no such plan.
func (a *alarms) set(t *Tunnel, at instant) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := int(t.bell) - 1
	added := i < 0
	if added {
		i = len(a.heap)
		a.heap = append(a.heap, alarm{at, t})
	} else {
		a.heap[i].at = at
	}
	a.settle(i)
	a.arm()
	return added
}

// drop forgets t. It reports whether a call was planned, which does not come then.
func (a *alarms) drop(t *Tunnel) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := int(t.bell) - 1
	if i < 0 {
		return false
	}
	a.remove(i)
	if len(a.heap) == 0 && a.timer.Stop() {
		a.all.works.Done()
	}
	return true
}

// arm has ring called when the first is due. Each call to come counts as a work.
func (a *alarms) arm() {
	if len(a.heap) == 0 {
		return
	}
	d := max(time.Until(a.all.time(a.heap[0].at)), 0)
	switch {
	case a.timer == nil:
		a.all.works.Add(1)
		a.timer = time.AfterFunc(d, a.ring)
	case !a.timer.Reset(d):
		a.all.works.Add(1)
	}
}

// ring calls those who are due.
func (a *alarms) ring() {
	defer a.all.works.Done()
	a.mu.Lock()
	defer a.mu.Unlock()
	for now := a.all.instant(time.Now()); len(a.heap) > 0 && a.heap[0].at <= now; {
		t := a.heap[0].of
		a.remove(0)
		go t.tick()
	}
	a.arm()
}

func (a *alarms) remove(i int) {
	last := len(a.heap) - 1
	a.heap[i].of.bell = 0
	moved := a.heap[last]
	a.heap[last] = alarm{}
	a.heap = a.heap[:last]
	if i < last {
		a.heap[i] = moved
		a.settle(i)
	}
}

// settle moves what stands at i to where it belongs.
func (a *alarms) settle(i int) {
	h := a.heap
	for i > 0 && h[i].at < h[(i-1)/2].at {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		h[i].of.bell = int32(i + 1) //nolint:gosec // there are fewer tunnels
		i = (i - 1) / 2
	}
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].at < h[least].at {
				least = child
			}
		}
		if least == i {
			break
		}
		h[i], h[least] = h[least], h[i]
		h[i].of.bell = int32(i + 1) //nolint:gosec // there are fewer tunnels
		i = least
	}
	h[i].of.bell = int32(i + 1) //nolint:gosec // there are fewer tunnels
}
