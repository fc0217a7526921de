package sticky

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

const (
	words = valueSize / 8
	// setBits is the logarithm of how many sets there are, and ways how many values each remembers: 4,096 in all, in 416 KiB. A page
	// brings tens of requests within seconds, so that it is enough to remember who is here just now. With one way, clients that share a
	// place take it from each other at each of their requests: of 500 in 1,024 places those are four in ten.
	setBits = 10
	ways    = 4
)

// known are values that were found to be signed, so that the next request with one of them costs a comparison and no HMAC. Each
// value has one set, where it takes a place that is free, or that of who got his first. Only what was signed with the signer's own
// keys gets in, and the keys of a signer never change, so that nothing has to be taken back; that a value has expired is looked at
// each time. The zero known is empty. Its methods are safe for concurrent use, never block and allocate nothing.
type known [1 << setBits]set

type set [ways]slot

// A slot is written by whoever makes turn odd. A reader that sees turn move has read a mixture, and drops it.
type slot struct {
	turn                            atomic.Uint64
	value                           [words]atomic.Uint64
	expires, release, instance, key atomic.Uint64
}

// text is a value as the words that it is compared by.
type text [words]uint64

func textOf(value []byte) (t text) {
	for i := range t {
		t[i] = binary.NativeEndian.Uint64(value[8*i:])
	}
	return t
}

// set is that of t: by the end of its signature, which nobody chooses.
func (k *known) set(t *text) *set {
	const golden = 0x9e3779b97f4a7c15 // 2^64 by the golden ratio: Knuth, The Art of Computer Programming, 6.4
	return &k[t[words-1]*golden>>(64-setBits)]
}

// find is what t says, if it is known.
func (k *known) find(t *text) (c Claim, ok bool) {
	in := k.set(t)
	for i := range in {
		if c, ok = in[i].find(t); ok {
			return c, true
		}
	}
	return Claim{}, false
}

// find is what t says, if it is in s. It takes the same time however much of it is right.
func (s *slot) find(t *text) (c Claim, ok bool) {
	turn := s.turn.Load()
	if turn == 0 || turn&1 == 1 {
		return Claim{}, false
	}
	var differ uint64
	for i := range t {
		differ |= s.value[i].Load() ^ t[i]
	}
	if differ != 0 {
		return Claim{}, false
	}
	c = Claim{
		Expires: time.Unix(int64(s.expires.Load()), 0), key: int(s.key.Load()),
		release: s.release.Load(), instance: s.instance.Load(),
	}
	return c, s.turn.Load() == turn
}

// keep remembers that t says c, in the slot of its set that was written least often: they are written in turns. Where another is
// being written it does nothing.
func (k *known) keep(t *text, c *Claim) {
	in := k.set(t)
	s, turn := &in[0], in[0].turn.Load()
	for i := range in[1:] {
		if other := in[1+i].turn.Load(); other < turn {
			s, turn = &in[1+i], other
		}
	}
	if turn&1 == 1 || !s.turn.CompareAndSwap(turn, turn+1) {
		return
	}
	for i := range t {
		s.value[i].Store(t[i])
	}
	s.expires.Store(uint64(c.Expires.Unix()))
	s.key.Store(uint64(c.key))
	s.release.Store(c.release)
	s.instance.Store(c.instance)
	s.turn.Store(turn + 2)
}
