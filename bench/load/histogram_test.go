package load

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantileIsWithinOneBucketOfTheTrueOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 300).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var h Histogram
		for _, v := range values {
			h.Record(time.Duration(v))
		}
		slices.Sort(values)
		rank := min(int(q*float64(len(values))), len(values)-1)
		want, got := values[rank], int64(h.Quantile(q))
		if got < want || float64(got) > float64(want)*(1+1.0/subBuckets)+1 {
			t.Fatalf("quantile %v of %d values: got %d, want %d", q, len(values), got, want)
		}
	})
}

func TestSlotsAreContiguous(t *testing.T) {
	t.Parallel()
	for i := range buckets - 1 {
		if end := slotEnd(i); slotOf(end) != i || slotOf(end+1) != i+1 {
			t.Fatalf("slot %d ends at %d, which is in %d; the next value is in %d", i, end, slotOf(end), slotOf(end+1))
		}
	}
	if i := slotOf(1<<64 - 1); i >= buckets {
		t.Fatalf("the largest value is in slot %d of %d", i, buckets)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	var a, b Histogram
	a.Record(time.Millisecond)
	b.Record(time.Second)
	a.Merge(&b)
	if a.Count() != 2 || a.Max() != time.Second || a.Quantile(0.5) < time.Millisecond {
		t.Errorf("count %d, max %v, median %v", a.Count(), a.Max(), a.Quantile(0.5))
	}
}
