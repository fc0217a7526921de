// Package admit decides what may go on: which requests come in, which wait, and which may be tried once more.
//
// It is decisions as functions of state and time, with no I/O, no clock and no goroutine. Time comes in as monotonic
// nanoseconds. What every request asks is lock-free and allocates nothing; what only those ask that have to wait says who
// guards it.
//
//   - [Limit] bounds what is in flight, as circuit breaking does in Envoy and maxconn in HAProxy. [Adaptive] finds the bound by
//     itself, from latency. [Shares] gives priorities parts of it, so that the least important is shed first.
//   - [Queue] is who waits at a bound: first in, first out, until it is clear that the queue is not a burst but an overload.
//   - [Rate] is a rate limit by the generic cell rate algorithm, one for a route in a [Bucket], or one for each client in
//     a [Table].
//   - [Attempt] says whether a request that failed may be tried again, which is a matter of what can have happened, and [Budget]
//     whether it should, which is a matter of how many others are, those that hedge among them.
package admit
