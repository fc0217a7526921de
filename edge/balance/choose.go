package balance

import (
	"math/bits"
	"slices"
)

// lookAtAll is up to how many backends the least is found by looking at all of them.
const lookAtAll = 4

// unknown is what a backend counts for whose latency is not known while it has something in flight: more than any that is
// known, so that it gets one request to be known by, and not all of them. 39 hours, as in Finagle.
const unknown = float64(1<<47 - 1)

// choose is the backend for q where nothing stands against any that is fit.
func (p *Picker) choose(v *view, q Query) *Backend {
	switch p.o.Policy {
	case RoundRobin:
		turn := p.turn.Add(1) - 1
		if v.turns == nil {
			return v.fit[turn%uint64(len(v.fit))].Backend
		}
		return v.fit[v.turns[turn%uint64(len(v.turns))]].Backend
	case Rendezvous:
		return p.rendezvous(v, q, nil)
	case Maglev:
		return p.maglev(v, q, nil)
	}
	if len(v.fit) <= lookAtAll {
		return p.least(v, q, nil)
	}
	a, b := v.two(q.Random)
	if p.burden(&v.fit[b], q.Now) < p.burden(&v.fit[a], q.Now) {
		a = b
	}
	return v.fit[a].Backend
}

// two draws two, which differ unless weights leave hardly a choice.
func (v *view) two(random uint64) (a, b int) {
	x, y := uint32(random>>32), uint32(random)
	if v.level {
		n := uint64(len(v.fit))
		a, b = int(uint64(x)*n>>32), int(uint64(y)*(n-1)>>32)
		if b >= a {
			b++
		}
		return a, b
	}
	if a, b = v.draw(x), v.draw(y); a == b {
		b = v.draw(uint32(mix(random)))
	}
	return a, b
}

// burden is what c has to carry for its weight.
func (p *Picker) burden(c *candidate, now int64) float64 {
	n := float64(c.InFlight.Load())
	if p.o.Policy != LeastTime {
		return n * c.inverse
	}
	latency := c.latency.Load(now)
	if latency == 0 && n > 0 {
		latency = unknown
	}
	return latency * (n + 1) * c.inverse
}

// least is the one with the least burden that is not avoided and not busy, ties by lot and weight; nil when there is none.
func (p *Picker) least(v *view, q Query, avoid []*Backend) *Backend {
	var best *Backend
	var least float64
	var tied uint64
	for i := range v.fit {
		c := &v.fit[i]
		if p.bars(c.Backend, avoid) {
			continue
		}
		switch burden := p.burden(c, q.Now); {
		case best == nil || burden < least:
			best, least, tied = c.Backend, burden, uint64(c.weight)
		case burden == least:
			tied += uint64(c.weight)
			if lot, _ := bits.Mul64(mix(q.Random+uint64(i)), tied); lot < uint64(c.weight) {
				best = c.Backend
			}
		}
	}
	return best
}

// bars reports whether b is to be passed over: it is avoided, or busy.
func (p *Picker) bars(b *Backend, avoid []*Backend) bool {
	return len(avoid) > 0 && slices.Contains(avoid, b) || p.busy(b)
}

// search is the backend for q that is not avoided and not busy, whatever it costs to find; nil when there is none.
func (p *Picker) search(v *view, q Query, avoid []*Backend) *Backend {
	switch p.o.Policy {
	case Rendezvous:
		return p.rendezvous(v, q, avoid)
	case Maglev:
		return p.maglev(v, q, avoid)
	}
	return p.least(v, q, avoid)
}
