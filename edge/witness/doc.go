// Package witness sees what becomes of each request at the edge, and tells it to those who want to know: counters and
// histograms (package metrics), a line in the access log (package accesslog), the trace context that goes on to the
// instance (package trace), and Server-Timing in the answer.
//
// # One path for all of it
//
// Whoever carries a request tells its story once, in the order in which it happens:
//
//	Begin ─▶ Enter ─▶ Try ─┬────────────────────────▶ Head ─▶ End
//	           ▲           ├─▶ Fail ─▶ Retry ─┐
//	           ├───────────┼──────────────────┘
//	           └─ Let ◀─ Hold
//
// Enter names the [Place] the request is at, which is a release behind a route; it is resolved when routes are compiled, so
// that a request looks nothing up. A request that goes on at another place leaves the first one, in whose counters it was
// never more than active.
//
// # Cost
//
// A loop owns a [Shard]: counters that no other loop writes, a ring of the access log with one producer, and the Requests
// that are free. An ordinary request allocates nothing and takes no lock; that it costs less than 150 ns in all, with
// everything on, is what BenchmarkRequest is for. Goroutines share Shards.
//
// # What a duration is
//
// A line of the access log says how long the request took, to the last byte. In metrics, an event stream and a changed
// protocol count with the time to the head of the answer: how long they stay open is up to the client, and one of an hour
// would stand among answers of milliseconds.
package witness
