package sketch

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// The layout. To change any of these is to change the version of the encoding.
const (
	unitBits   = 7  // the finest buckets are 128 ns wide
	linearBits = 6  // buckets to an octave, as a power of two
	maxBits    = 42 // all from 2^42 ns up is in the last bucket

	perOctave = 1 << linearBits
	octaves   = maxBits - unitBits - linearBits + 1

	// Buckets is how many buckets there are.
	Buckets = octaves * perOctave

	// RelativeError bounds how far a quantile is off, relative to it, from 8.192 µs to Max. Below it is off by at most 64 ns.
	RelativeError = 1.0 / (2 * perOctave)

	// Max is the shortest duration that the last bucket does not bound.
	Max = time.Duration(1) << maxBits
)

// index is the bucket of d. Negative durations, which a clock that was set back can make, count as zero.
func index(d time.Duration) int {
	u := uint64(min(max(d, 0), Max-1)) >> unitBits
	if u < perOctave {
		return int(u)
	}
	shift := bits.Len64(u) - linearBits - 1
	return shift<<linearBits + int(u>>shift)
}

// lower is the shortest duration in bucket i; lower(Buckets) is Max.
func lower(i int) time.Duration {
	if i < 2*perOctave {
		return time.Duration(i) << unitBits
	}
	shift := i>>linearBits - 1
	return time.Duration(i&(perOctave-1)|perOctave) << (shift + unitBits)
}

// middle is what bucket i is told as.
func middle(i int) time.Duration { return (lower(i) + lower(i+1) - 1) / 2 }

// Ceil is the lowest boundary that is not below d: the least T ≥ d for which [Counts.Above] is exact. Beyond Max it is Max.
func Ceil(d time.Duration) time.Duration {
	switch i := index(d); {
	case d <= 0:
		return 0
	case d >= Max:
		return Max
	case lower(i) == d:
		return d
	default:
		return lower(i + 1)
	}
}

type octave [perOctave]atomic.Uint64

// A Sketch counts durations. The zero Sketch is empty and ready. Its methods are safe for concurrent use.
type Sketch struct {
	octaves [octaves]atomic.Pointer[octave]
}

// Add counts one duration.
func (s *Sketch) Add(d time.Duration) {
	i := index(d)
	o := s.octaves[i>>linearBits].Load()
	if o == nil {
		o = s.grow(i >> linearBits)
	}
	o[i&(perOctave-1)].Add(1)
}

// grow is apart from Add so that Add stays small.
func (s *Sketch) grow(i int) *octave {
	s.octaves[i].CompareAndSwap(nil, new(octave))
	return s.octaves[i].Load()
}

// ReadInto adds what s has counted to c. Nothing stops meanwhile: of two durations added one after the other it may have the
// second alone.
func (s *Sketch) ReadInto(c *Counts) {
	for i := octaves - 1; i >= 0 && c.n == nil; i-- {
		if s.octaves[i].Load() != nil {
			c.n = make([]uint64, 0, (i+1)*perOctave)
		}
	}
	for i := range s.octaves {
		o := s.octaves[i].Load()
		if o == nil {
			continue
		}
		for j := range o {
			if n := o[j].Load(); n > 0 {
				c.add(i<<linearBits+j, n)
			}
		}
	}
}

// Read is what s has counted.
func (s *Sketch) Read() Counts {
	var c Counts
	s.ReadInto(&c)
	return c
}
