// Package sketch counts durations in buckets that are the same everywhere, so that the counts of loops, releases and
// machines add up, and quantiles of the sum have a known error.
//
// # Boundaries
//
// A bucket is a range of nanoseconds. Buckets are linear within an octave (from one power of two to the next) and double
// from octave to octave: 64 to an octave. The first octave is exact to 128 ns and ends at 8.192 µs; the last ends at
// 2^42 ns, about 73 minutes, and holds all that is longer. From 8.192 µs up a bucket is at most 1/64 of its lower end wide,
// and a quantile, told as the middle of its bucket, is at most [RelativeError] = 1/128 off the duration it stands for.
//
// The boundaries are part of the encoding and never change under the same version. So "how many were slower than T" is
// exact for every T that is a boundary ([Ceil]), which is what a sequential test over two releases needs: it fixes its
// thresholds before it looks, and then reads counts, never quantiles.
//
// # Two types
//
// A [Sketch] is written by requests: one atomic add, no lock, and an allocation only when an octave is used
// for the first time (512 bytes). It is safe for concurrent use; give each loop its own to keep the
// cache lines apart. Uncontended atomic adds cost about 2 ns here, plain ones less than 1: not enough of a difference to
// have a second kind of counter that is right only with one writer.
//
// A [Counts] is what was read from sketches: a plain value to merge, subtract, ask and send.
package sketch
