package balance

import (
	"cmp"
	"math"
	"slices"
)

// slowSteps is how many steps a slow start has.
const slowSteps = 64

// A view is the fit backends of a pool with their weights, as of one count of changes. It is immutable.
type view struct {
	changes   uint64
	until     int64 // the next step of a slow start
	panicking bool
	fit       []candidate
	level     bool // all weigh the same
	even      bool // all weigh the same once they have started
	alias     []column
	turns     []uint16 // of RoundRobin, by index of fit; nil where all weigh the same
}

type candidate struct {
	*Backend
	full    uint16  // the weight once it has started
	weight  uint32  // the weight now
	inverse float64 // 1 / weight
}

// current is a view that knows of every change that was made before the call.
func (p *Picker) current(now int64) *view {
	v := p.view.Load()
	changes := p.changes.n.Load() // before what they are changes of is read
	switch {
	case v == nil || v.changes != changes:
		v = p.look(changes, now)
		p.view.Store(v) // an older one may come behind it: it is found out by the next pick
	case now >= v.until && p.stepping.CompareAndSwap(false, true):
		v = p.look(changes, now)
		p.view.Store(v)
		p.stepping.Store(false)
	}
	return v
}

// look makes a view.
func (p *Picker) look(changes uint64, now int64) *view {
	v := &view{changes: changes, until: math.MaxInt64}
	fit := 0
	for _, m := range p.members {
		if m.Fit() {
			fit++
		}
	}
	v.panicking = fit*100 < p.o.Panic*len(p.members)
	for _, m := range p.members {
		if !v.admits(m.Backend) {
			continue
		}
		weight, rising := weigh(m, now, p.o.SlowStart)
		if rising {
			v.until = now + max(int64(p.o.SlowStart)/slowSteps, 1)
		}
		v.fit = append(v.fit, candidate{Backend: m.Backend, full: m.Weight, weight: weight, inverse: fullWeight / float64(weight)})
	}
	if len(v.fit) == 0 {
		return v
	}
	first := v.fit[0]
	v.level = !slices.ContainsFunc(v.fit, func(c candidate) bool { return c.weight != first.weight })
	v.even = !slices.ContainsFunc(v.fit, func(c candidate) bool { return c.full != first.full })
	if !v.level {
		v.alias = columns(v.fit)
		if p.o.Policy == RoundRobin {
			v.turns = turns(v.fit)
		}
	}
	return v
}

// admits reports whether b may be picked.
func (v *view) admits(b *Backend) bool { return b.Fit() || v.panicking && !b.Down() }

// A column of Walker's alias method: below the threshold it stands for its own index, above for the other.
type column struct {
	threshold uint32
	other     uint32
}

// columns is the table of the alias method (Vose, 1991), with which one random number draws in proportion to weight.
func columns(fit []candidate) []column {
	n := uint64(len(fit))
	var total uint64
	for _, c := range fit {
		total += uint64(c.weight)
	}
	table := make([]column, n)
	left := make([]uint64, n) // of the weight × n, to be given away
	var small, large []int
	for i, c := range fit {
		left[i] = uint64(c.weight) * n
		if left[i] < total {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		table[s] = column{threshold: uint32(float64(left[s]) / float64(total) * (1 << 32)), other: uint32(l)}
		if left[l] -= total - left[s]; left[l] < total {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range slices.Concat(small, large) {
		table[i] = column{threshold: math.MaxUint32, other: uint32(i)}
	}
	return table
}

// draw is an index of fit, in proportion to weight.
func (v *view) draw(random uint32) int {
	product := uint64(random) * uint64(len(v.fit))
	i := int(product >> 32)
	if !v.level && uint32(product) > v.alias[i].threshold {
		return int(v.alias[i].other)
	}
	return i
}

// maxTurns bounds the length of a round. Weights that would need more are rounded to fit.
const maxTurns = 4096

// turns is a round in which each has as many turns as it weighs, spread evenly: the k-th turn of weight w is due at
// (k + 1/2) / w.
func turns(fit []candidate) []uint16 {
	var total, divisor uint64
	for _, c := range fit {
		total += uint64(c.weight)
		divisor = gcd(divisor, uint64(c.weight))
	}
	type due struct {
		at float64
		i  uint16
	}
	var order []due
	for i, c := range fit {
		n := uint64(c.weight) / divisor
		if total/divisor > maxTurns {
			n = max((uint64(c.weight)*maxTurns+total/2)/total, 1)
		}
		for k := range n {
			order = append(order, due{(float64(k) + 0.5) / float64(n), uint16(i)})
		}
	}
	slices.SortStableFunc(order, func(a, b due) int { return cmp.Compare(a.at, b.at) })
	round := make([]uint16, len(order))
	for i, d := range order {
		round[i] = d.i
	}
	return round
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
