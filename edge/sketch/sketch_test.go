package sketch

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestBoundariesAreContiguousAndNarrow(t *testing.T) {
	t.Parallel()
	for i := range Buckets {
		low, high := lower(i), lower(i+1)
		if low >= high {
			t.Fatalf("bucket %d is from %d to %d", i, low, high)
		}
		if index(low) != i || index(high-1) != i {
			t.Fatalf("bucket %d holds %d and %d, which are sent to %d and %d", i, low, high-1, index(low), index(high-1))
		}
		if i < perOctave {
			if high-low != 1<<unitBits {
				t.Fatalf("bucket %d is %v wide", i, high-low)
			}
			continue
		}
		if width := float64(high-low) / float64(low); width > 2*RelativeError {
			t.Fatalf("bucket %d is %g of its lower end wide", i, width)
		}
	}
	if lower(0) != 0 || lower(Buckets) != Max {
		t.Errorf("buckets are from %v to %v", lower(0), lower(Buckets))
	}
}

func TestEndsOfTheRange(t *testing.T) {
	t.Parallel()
	var s Sketch
	for _, d := range []time.Duration{math.MinInt64, -1, 0, 1, Max - 1, Max, math.MaxInt64} {
		s.Add(d)
	}
	c := s.Read()
	var got []uint64
	for b, n := range c.All() {
		if b.Low != 0 && b.High != Max {
			t.Errorf("bucket from %v to %v", b.Low, b.High)
		}
		got = append(got, n)
	}
	if !slices.Equal(got, []uint64{4, 3}) {
		t.Errorf("counts %v", got)
	}
	if q := c.Quantile(1); q >= Max {
		t.Errorf("the longest is told as %v", q)
	}
}

// durations are spread over all octaves, and often close to a boundary.
func durations() *rapid.Generator[time.Duration] {
	return rapid.Custom(func(t *rapid.T) time.Duration {
		e := rapid.IntRange(0, maxBits-1).Draw(t, "octave")
		return time.Duration(1)<<e + time.Duration(rapid.Int64Range(-1, 1<<e-1).Draw(t, "rest"))
	})
}

// exact is the quantile by its definition, over all durations in order.
func exact(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(max(int(math.Ceil(q*float64(len(sorted)))), 1), len(sorted))-1]
}

func TestQuantilesAreWithinTheirError(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(durations(), 1, 300).Draw(t, "durations")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var s Sketch
		var sum time.Duration
		for _, d := range all {
			s.Add(d)
			sum += d
		}
		c := s.Read()
		slices.Sort(all)
		want := exact(all, q)
		bound := max(float64(want)*RelativeError, 1<<(unitBits-1))
		if got := c.Quantile(q); math.Abs(float64(got-want)) > bound {
			t.Fatalf("quantile %g of %v is %v, told as %v", q, all, want, got)
		}
		slack := float64(sum)*RelativeError + float64(len(all))*(1<<(unitBits-1))
		if c.Count() != uint64(len(all)) || math.Abs(float64(c.Sum()-sum)) > slack || c.Mean() != c.Sum()/time.Duration(len(all)) {
			t.Fatalf("count %d, sum %v, mean %v of %v", c.Count(), c.Sum(), c.Mean(), all)
		}
	})
}

func TestAboveIsExactAtBoundaries(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(durations()).Draw(t, "durations")
		at := Ceil(durations().Draw(t, "threshold"))
		var s Sketch
		var want uint64
		for _, d := range all {
			s.Add(d)
			if d >= at {
				want++
			}
		}
		if got := s.Read().Above(at); got != want {
			t.Fatalf("%d of %v are %v or slower, told as %d", want, all, at, got)
		}
	})
}

func TestCeil(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := durations().Draw(t, "duration")
		c := Ceil(d)
		if c < d || Ceil(c) != c {
			t.Fatalf("Ceil(%d) = %d, Ceil of that %d", d, c, Ceil(c))
		}
		if c > 0 && lower(index(c-1)) >= d {
			t.Fatalf("%d is a lower boundary than %d for %d", lower(index(c-1)), c, d)
		}
	})
	for _, d := range []time.Duration{Max, math.MaxInt64} {
		if Ceil(d) != Max {
			t.Errorf("Ceil(%v) = %v", d, Ceil(d))
		}
	}
	if Ceil(-1) != 0 {
		t.Errorf("Ceil(-1) = %v", Ceil(-1))
	}
}

func TestQuantileOfNothingAndOfNonsense(t *testing.T) {
	t.Parallel()
	var s Sketch
	if q := s.Read().Quantile(.5); q != 0 {
		t.Errorf("median of nothing %v", q)
	}
	s.Add(time.Millisecond)
	c := s.Read()
	for _, q := range []float64{-1, 0, 2, math.Inf(1), math.Inf(-1)} {
		if got := c.Quantile(q); got < 999*time.Microsecond || got > 1010*time.Microsecond {
			t.Errorf("quantile %g of a millisecond: %v", q, got)
		}
	}
	if got := c.Quantile(math.NaN()); got != 0 {
		t.Errorf("quantile NaN: %v", got)
	}
}

func of(ds ...time.Duration) Counts {
	var s Sketch
	for _, d := range ds {
		s.Add(d)
	}
	return s.Read()
}

func equal(a, b Counts) bool {
	return cmp.Equal(buckets(a), buckets(b)) && a.Count() == b.Count()
}

func buckets(c Counts) map[Bucket]uint64 {
	m := map[Bucket]uint64{}
	for b, n := range c.All() {
		m[b] = n
	}
	return m
}

func TestMergeAndSubAreOneCountOfAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOf(durations()).Draw(t, "a")
		b := rapid.SliceOf(durations()).Draw(t, "b")
		both := of(a...)
		both.Merge(of(b...))
		if !equal(both, of(append(slices.Clone(a), b...)...)) {
			t.Fatalf("%v and %v merge to %v", a, b, buckets(both))
		}
		if d := both.Sub(of(a...)); !equal(d, of(b...)) {
			t.Fatalf("without %v, %v leaves %v", a, b, buckets(d))
		}
	})
}

func TestSubOfAnotherSketchIsAll(t *testing.T) {
	t.Parallel()
	now := of(1, time.Second)
	for _, old := range []Counts{of(1, 1), of(time.Minute), of(1, 1, 1, time.Second)} {
		if !equal(now.Sub(old), now) {
			t.Errorf("less %v: %v", buckets(old), buckets(now.Sub(old)))
		}
	}
}

func TestEncodingReturnsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := of(rapid.SliceOf(durations()).Draw(t, "durations")...)
		b, err := c.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var d Counts
		if err := d.UnmarshalBinary(b); err != nil || !equal(c, d) {
			t.Fatalf("%x is read as %v (%v), was %v", b, buckets(d), err, buckets(c))
		}
		for i := range b {
			var cut Counts
			err := cut.UnmarshalBinary(b[:i])
			if err != nil && (!errors.Is(err, ErrEncoding) || cut.Count() != 0) {
				t.Fatalf("%x is read as %v, %v", b[:i], buckets(cut), err)
			}
		}
	})
}

func TestEncodingRefuses(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"nothing":            nil,
		"another version":    {2},
		"no count":           {1, 3},
		"a count of zero":    {1, 3, 0},
		"a bucket too far":   {1, 0xff, 0xff, 0x7f, 1},
		"one that wraps":     {1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1},
		"counts that wrap":   {1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 1},
		"a varint too large": {1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
	} {
		var c Counts
		if err := c.UnmarshalBinary(b); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s is read as %v, %v", name, buckets(c), err)
		}
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	b, _ := of(1, time.Millisecond, time.Hour).MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, d Counts
		if c.UnmarshalBinary(b) != nil {
			return
		}
		again, err := c.MarshalBinary()
		if err != nil || d.UnmarshalBinary(again) != nil || !equal(c, d) {
			t.Fatalf("%x becomes %x", b, again)
		}
	})
}

func TestConcurrentAddsAreAllCounted(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 2000
	var s Sketch
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for range each {
				s.Add(time.Duration(r.Uint64N(1 << r.UintN(maxBits))))
			}
		})
	}
	for last := uint64(0); last < writers*each; {
		n := s.Read().Count()
		if n < last {
			t.Fatalf("%d after %d", n, last)
		}
		last = n
	}
	wg.Wait()
	if n := s.Read().Count(); n != writers*each {
		t.Errorf("%d counted", n)
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	var s Sketch
	s.Add(time.Millisecond)
	if n := testing.AllocsPerRun(100, func() { s.Add(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	var s Sketch
	b.ReportAllocs()
	d := time.Duration(1)
	for b.Loop() {
		d = d*1103515245 + 12345
		s.Add(d & (1<<30 - 1))
	}
}

func BenchmarkRead(b *testing.B) {
	var s Sketch
	for i := range 100_000 {
		s.Add(time.Duration(i) * 1000)
	}
	var c Counts
	b.ReportAllocs()
	for b.Loop() {
		c = Counts{}
		s.ReadInto(&c)
	}
}
