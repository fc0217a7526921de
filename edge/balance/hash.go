package balance

import (
	"cmp"
	"math"
	"math/big"
	"math/bits"
	"slices"
)

// defaultTableSize is that of the paper for small pools; also Envoy's.
const defaultTableSize = 65537

// Hash is a stable hash of b: FNV-1a, mixed. The same in every process and version, and no defence against somebody who
// makes keys on purpose: they reach the backend they choose, which they could by choosing among keys as well.
func Hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return mix(h)
}

// mix spreads every bit of x over all of the result: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// rendezvous is the backend whose hash with the key is highest, for its weight, of those that are neither avoided nor busy.
func (p *Picker) rendezvous(v *view, q Query, avoid []*Backend) *Backend {
	var best *Backend
	var highest uint64
	var score float64
	for i := range v.fit {
		c := &v.fit[i]
		if p.bars(c.Backend, avoid) {
			continue
		}
		h := mix(q.Key ^ c.id)
		if v.even {
			if best == nil || h > highest {
				best, highest = c.Backend, h
			}
			continue
		}
		// u in (0, 1): the exponential of rate w that it makes is the smallest of all with probability w / Σw
		u := (float64(h>>11) + 0.5) / (1 << 53)
		if s := float64(c.full) / -math.Log(u); best == nil || s > score {
			best, score = c.Backend, s
		}
	}
	return best
}

// A maglevTable says for each slot which member of the pool has it.
type maglevTable struct {
	members []Member // sorted by id
	slots   []uint16
}

// A permutation is the order in which a member asks for slots.
type permutation struct {
	next, skip uint64
	weight     uint64
}

func newMaglevTable(members []Member, size int) maglevTable {
	if size <= 0 {
		size = defaultTableSize
	}
	size = prime(size)
	// The order of those who take turns is part of the result, and must not be that of a list somebody wrote.
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b Member) int { return cmp.Compare(a.id, b.id) })
	orders := make([]permutation, len(sorted))
	for i, m := range sorted {
		orders[i] = permutation{next: m.id % uint64(size), skip: mix(m.id)%uint64(size-1) + 1, weight: uint64(m.Weight)}
	}
	return maglevTable{members: sorted, slots: populate(orders, size)}
}

// prime is the first prime that is not below n: only then does every permutation reach every slot.
func prime(n int) int {
	for n = max(n, 3); !big.NewInt(int64(n)).ProbablyPrime(0); n++ { // exact below 2^64
	}
	return n
}

// populate lets each in turn take the next slot of its permutation that is free, until none is (Eisenbud et al., 3.4). One
// of half the greatest weight has a turn in every other round.
func populate(orders []permutation, size int) []uint16 {
	const free = math.MaxUint16
	slots := slices.Repeat([]uint16{free}, size)
	var greatest uint64
	for _, o := range orders {
		greatest = max(greatest, o.weight)
	}
	credit := make([]uint64, len(orders))
	if len(orders) == 0 {
		return nil
	}
	for taken := 0; ; {
		for i := range orders {
			o := &orders[i]
			if credit[i] += o.weight; credit[i] < greatest {
				continue
			}
			credit[i] -= greatest
			for slots[o.next] != free {
				o.next = (o.next + o.skip) % uint64(size)
			}
			slots[o.next] = uint16(i)
			if taken++; taken == size {
				return slots
			}
		}
	}
}

// rehashes is how many slots of a key are tried before the backends are, in order.
const rehashes = 32

// maglev is the backend that has the key's slot. Where that one is not to be picked, the key is hashed on to another slot: so
// its keys are shared evenly by the others, and no other key moves. Slots that lie side by side would not do: whose they
// are depends on one another.
func (p *Picker) maglev(v *view, q Query, avoid []*Backend) *Backend {
	t := &p.table
	size := uint64(len(t.slots))
	key := q.Key
	for range rehashes {
		key = mix(key)
		slot, _ := bits.Mul64(key, size)
		if b := t.members[t.slots[slot]].Backend; v.admits(b) && !p.bars(b, avoid) {
			return b
		}
	}
	for _, m := range t.members {
		if v.admits(m.Backend) && !p.bars(m.Backend, avoid) {
			return m.Backend
		}
	}
	return nil
}
