// Package meter counts what happens to the jobs of queues, and remembers the last hour of it.
//
// # Problem
//
// An engine knows how a queue stands. Whoever is on call asks how it got there: how many requests come, how many jobs are done, how
// many attempts fail, how long it takes from acceptance to end, and since when. That is not worth a write to the store, and no two
// engines should each count it in their way.
//
// # How it counts
//
// [Meter.Watch] is a queue around a queue. It sees each call that accepts, claims and ends in the process that works the queue, which is
// one, and counts what came of it. Counters begin with that process, as those of every program that Prometheus asks do; [Reading.Since]
// says when.
//
// What the engine does by itself no call shows: a lease that ends. The meter knows until when each lease holds that it saw begin. Of one
// that should have ended it asks what became of the job. So an attempt that was not heard of counts as failed, and its job as dead where
// it is, at the next [Step].
//
// # Invariants
//
//   - A call's answer is the engine's, unchanged. Counting neither fails nor waits for anything but a lock held for a few additions.
//   - What is kept per queue is bounded: [Kept] points, fixed histograms, and one entry for each job that runs.
//
// # What it will not do
//
// Count what was discarded or expired: the one is on record as a deed, the other happens in the engine. Judge: what is too much is for
// whoever reads it to say.
package meter
