// Package balance decides which backend gets a request, and which backends are fit to get one.
//
// It is arithmetic on counters: no I/O, no clock, no goroutine, no lock on the path of a request. Time comes in as
// monotonic nanoseconds, from any origin but one; randomness as a uniform uint64, for which a loop has a
// [math/rand/v2.PCG] of its own, or calls [math/rand/v2.Uint64].
//
// # Who gets it
//
// A [Picker] is made with each route table, and is immutable but for what it caches. Its [Policy] is one of:
//
//   - [LeastInFlight], the default: of two chosen at random, weight for weight, the one with less in flight for its weight.
//     Two choices bring the longest queue from ln n / ln ln n down to ln ln n (Mitzenmacher, The Power of Two Choices in
//     Randomized Load Balancing, 2001). Up to four backends are all looked at.
//   - [LeastTime]: the same with peak-EWMA latency × (in flight + 1) for the measure; see [Latency].
//   - [RoundRobin]: in turn, weights interleaved as evenly as whole turns go.
//   - [Rendezvous]: highest random weight of key and backend (Thaler and Ravishankar, 1998), with weights by
//     -w / ln u (Schindelhauer and Schomaker, Weighted Distributed Hash Tables, 2005). Exact shares; looks at every backend.
//   - [Maglev]: a table made of permutations (Eisenbud et al., Maglev, NSDI 2016). One look, whatever the number of backends.
//
// The last two send a key to the same backend, in every process that has the same table. When a backend is not fit, its keys
// and no others move, each to where it would be without that backend.
//
// # Who is fit
//
// A backend is out for one of three reasons. It is down: known to be dead, and never picked. It is unhealthy: its probes say
// so ([Probe]). It is ejected: its answers say so, compared with the others' ([Outlier]). The latter two are opinions. When
// they leave less than the panic threshold, half by default, more likely the judge is at fault than all
// the judged, and the load would fell the rest one by one: then they are ignored.
//
// A backend that becomes fit starts slowly: its weight ramps from a tenth to all of it.
//
// # How it is fast
//
// A change of fitness bumps one counter, [Changes], that all backends of an edge share. A pick compares that counter with the
// one its cached list of fit backends was made for, and makes the list anew only if they differ. So a pick costs one
// comparison for all of the above, and what a change leaves out is never picked after the change has returned.
package balance
