package sketch

import (
	"iter"
	"math"
	"slices"
	"time"
)

// Counts is what sketches counted. The zero Counts is empty. It is a value in all but its storage: Merge and Sub change the
// receiver, and a copy that is to be kept apart is made by Clone. It is not safe for concurrent use.
type Counts struct {
	count uint64
	n     []uint64 // by bucket, up to the highest that was used
}

func (c *Counts) add(i int, n uint64) {
	if i >= len(c.n) {
		c.n = append(c.n, make([]uint64, i+1-len(c.n))...)
	}
	c.n[i] += n
	c.count += n
}

// Count is how many durations were counted.
func (c Counts) Count() uint64 { return c.count }

// Sum is all durations together, each told as the middle of its bucket: as far off as a quantile is.
func (c Counts) Sum() time.Duration {
	var sum time.Duration
	for i, n := range c.n {
		sum += time.Duration(n) * middle(i)
	}
	return sum
}

// Mean is the mean duration, as far off as a quantile is; zero when there is none.
func (c Counts) Mean() time.Duration {
	if c.count == 0 {
		return 0
	}
	return c.Sum() / time.Duration(c.count)
}

// Clone is a copy that shares nothing with c.
func (c Counts) Clone() Counts {
	c.n = slices.Clone(c.n)
	return c
}

// Merge adds what o counted.
func (c *Counts) Merge(o Counts) {
	for i, n := range o.n {
		if n > 0 {
			c.add(i, n)
		}
	}
}

// Sub is what was counted after old, an earlier reading of the same sketches. Where old has more, which means that it is
// of other sketches, c is all there is.
func (c Counts) Sub(old Counts) Counts {
	if len(old.n) > len(c.n) || old.count > c.count {
		return c.Clone()
	}
	d := c.Clone()
	for i, n := range old.n {
		if n > d.n[i] {
			return c.Clone()
		}
		d.n[i] -= n
	}
	d.count -= old.count
	return d
}

// Quantile is a duration that is within [RelativeError] of the q-quantile: the least duration of those counted that at
// least a share q of them does not exceed. q is from 0 to 1; of nothing the quantile is zero.
func (c Counts) Quantile(q float64) time.Duration {
	if c.count == 0 || math.IsNaN(q) {
		return 0
	}
	rank := min(max(uint64(math.Ceil(q*float64(c.count))), 1), c.count)
	if q <= 0 { // a negative float has no unsigned counterpart
		rank = 1
	}
	var seen uint64
	for i, n := range c.n {
		if seen += n; seen >= rank {
			return middle(i)
		}
	}
	return middle(len(c.n) - 1)
}

// Above is how many were slower than t, or as slow: exact when t is a boundary (see [Ceil]), and otherwise without those
// that share t's bucket.
func (c Counts) Above(t time.Duration) uint64 {
	from := Buckets
	if t < Max {
		from = index(t)
		if lower(from) < t {
			from++
		}
	}
	var n uint64
	for i := from; i < len(c.n); i++ {
		n += c.n[i]
	}
	return n
}

// A Bucket is the durations from Low up to, but without, High.
type Bucket struct {
	Low, High time.Duration
}

// All yields the buckets that are not empty, upwards, with their counts. The last bucket's High is [Max], although it holds
// longer ones too.
func (c Counts) All() iter.Seq2[Bucket, uint64] {
	return func(yield func(Bucket, uint64) bool) {
		for i, n := range c.n {
			if n > 0 && !yield(Bucket{lower(i), lower(i + 1)}, n) {
				return
			}
		}
	}
}
