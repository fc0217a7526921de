package sticky

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

const (
	words = valueSize / 8
	// slotBits is the logarithm of how many values a signer remembers: 1,024, in 104 KiB. A page brings tens of requests within
	// seconds, so that it is enough to remember who is here just now.
	slotBits = 10
)

// known are values that were found to be signed, so that the next request with one of them costs a comparison and no HMAC. Each
// value has one slot, and takes it from whoever had it. Only what was signed with the signer's own keys gets in, and the keys of a
// signer never change, so that nothing has to be taken back; that a value has expired is looked at each time. The zero known is
// empty. Its methods are safe for concurrent use, never block and allocate nothing.
type known [1 << slotBits]slot

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

// slot is that of t: by the end of its signature, which nobody chooses.
func (k *known) slot(t *text) *slot {
	const golden = 0x9e3779b97f4a7c15 // 2^64 by the golden ratio: Knuth, The Art of Computer Programming, 6.4
	return &k[t[words-1]*golden>>(64-slotBits)]
}

// find is what t says, if it is known. It takes the same time however much of a value is right.
func (k *known) find(t *text) (c Claim, ok bool) {
	s := k.slot(t)
	turn := s.turn.Load()
	if turn == 0 || turn&1 == 1 {
		return Claim{}, false
	}
	var differ uint64
	for i := range t {
		differ |= s.value[i].Load() ^ t[i]
	}
	c = Claim{
		Expires: time.Unix(int64(s.expires.Load()), 0), key: int(s.key.Load()),
		release: s.release.Load(), instance: s.instance.Load(),
	}
	return c, s.turn.Load() == turn && differ == 0
}

// keep remembers that t says c. Where another is being written it does nothing.
func (k *known) keep(t *text, c *Claim) {
	s := k.slot(t)
	turn := s.turn.Load()
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
