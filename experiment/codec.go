package experiment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// version of what a part is written as.
const version = 1

// Dirty are the parts that have changed since they were encoded.
func (s *State) Dirty() (parts []int) {
	for i := range s.shards {
		if s.shards[i].dirty {
			parts = append(parts, i)
		}
	}
	return parts
}

// Encode is a part. It is clean then.
func (s *State) Encode(part int) []byte {
	h := &s.shards[part]
	h.dirty = false
	b := binary.AppendUvarint([]byte{version}, h.applied)
	for _, n := range h.leftOut {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendUvarint(b, uint64(h.unknown))
	b = binary.AppendUvarint(b, uint64(len(h.ids)))
	for i := range h.ids { // the oldest first
		b = binary.LittleEndian.AppendUint64(b, h.ids[(h.next+i)%len(h.ids)])
	}
	for _, words := range h.words {
		b = binary.AppendUvarint(b, uint64(len(words)))
		for _, w := range words {
			b = append(binary.AppendUvarint(b, uint64(len(w))), w...)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(h.users)))
	for number, u := range h.users {
		b = binary.LittleEndian.AppendUint64(b, number)
		b = append(b, byte(u.variant+1))
		b = binary.AppendVarint(b, u.at)
		b = binary.AppendVarint(b, u.first)
		b = append(b, u.words...)
		for _, x := range u.sums {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
	}
	return b
}

var errPart = errors.New("it is not a part of an experiment of this plan")

// Decode takes a part that was encoded, of a state with the same plan.
func (s *State) Decode(part int, b []byte) error {
	if part < 0 || part >= Shards || len(b) == 0 || b[0] != version {
		return fmt.Errorf("part %d: %w", part, errPart)
	}
	var h shard
	h.empty(&s.plan)
	r := reader{b: b[1:]}
	h.applied = r.uvarint()
	for i := range h.leftOut {
		h.leftOut[i] = int64(r.uvarint())
	}
	h.unknown = int64(r.uvarint())
	for n := min(r.uvarint(), KeptIDs); n > 0 && !r.bad; n-- {
		h.remember(r.uint64())
	}
	for i := range h.words {
		for n := min(r.uvarint(), keptWords+1); n > 0 && !r.bad; n-- {
			h.words[i] = append(h.words[i], string(r.take(r.uvarint())))
		}
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		number, u := r.uint64(), &user{variant: int8(r.byte()) - 1}
		u.at, u.first, u.words = r.varint(), r.varint(), slices.Clone(r.take(uint64(len(s.plan.Segments))))
		u.sums = make([]float64, len(s.plan.Metrics))
		for i := range u.sums {
			u.sums[i] = math.Float64frombits(r.uint64())
			r.bad = r.bad || CheckValue(min(u.sums[i], MaxValue)) != nil
		}
		if u.variant < 0 {
			h.waiting++
		}
		for i, w := range u.words {
			r.bad = r.bad || int(w) > len(h.words[i])
		}
		r.bad = r.bad || int(u.variant) >= len(s.plan.Variants)
		h.users[number] = u
	}
	if r.bad || len(r.b) > 0 {
		return fmt.Errorf("part %d: %w", part, errPart)
	}
	s.shards[part] = h
	return nil
}

// reader reads what may be cut short; bad says that it was.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, n = true, 0
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b)
	r.take(uint64(max(n, 0)))
	r.bad = r.bad || n <= 0
	return x
}

func (r *reader) varint() int64 {
	x, n := binary.Varint(r.b)
	r.take(uint64(max(n, 0)))
	r.bad = r.bad || n <= 0
	return x
}
