package meter

import (
	"slices"
	"time"
)

// limits are the upper ends of a histogram's buckets in seconds: OpenTelemetry's for the processing of messages (semantic conventions
// 1.44, messaging.process.duration), and more, because jobs wait.
var limits = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 30, 60, 300, 900, 3600, 21600, 86400}

// Limits are the upper ends of a histogram's buckets, in seconds. Nobody changes them.
func Limits() []float64 { return limits }

// A Histogram counts durations. The zero Histogram has none.
type Histogram struct {
	Counts []uint64 `json:"counts,omitempty"` // by limit, and last of those above all
	Sum    float64  `json:"sum"`              // in seconds
}

func (h *Histogram) add(d time.Duration) {
	if h.Counts == nil {
		h.Counts = make([]uint64, len(limits)+1)
	}
	s := max(d, 0).Seconds()
	i, _ := slices.BinarySearch(limits, s) // the first limit that is not below s
	h.Counts[i]++
	h.Sum += s
}

// Total is how many durations there are.
func (h Histogram) Total() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// with is h and o together; it shares memory with neither.
func (h Histogram) with(o Histogram) Histogram {
	out := Histogram{Counts: make([]uint64, len(limits)+1), Sum: h.Sum + o.Sum}
	for i := range out.Counts {
		if i < len(h.Counts) {
			out.Counts[i] += h.Counts[i]
		}
		if i < len(o.Counts) {
			out.Counts[i] += o.Counts[i]
		}
	}
	return out
}

// Within is the least limit that the share q of all durations, from 0 to 1, does not exceed. Above the last limit it is that one and
// beyond is set. ok is false where there are none.
func (h Histogram) Within(q float64) (limit time.Duration, beyond, ok bool) {
	n := h.Total()
	if n == 0 {
		return 0, false, false
	}
	var seen uint64
	for i, c := range h.Counts {
		if seen += c; float64(seen) >= q*float64(n) {
			last := min(i, len(limits)-1)
			return time.Duration(limits[last] * float64(time.Second)), i > last, true
		}
	}
	return time.Duration(limits[len(limits)-1] * float64(time.Second)), true, true
}
