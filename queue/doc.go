// Package queue is the contract of semper's queues: requests that are accepted now and done later.
//
// # The problem
//
// A system can be updated without turning anybody away only if accepting does not need what is being updated. So a
// request is written down, acknowledged (202 Accepted) and handed to an instance when there is one. From the
// acknowledgement on it is semper's: it survives kill -9 of every process and a power loss, and reaches exactly one
// terminal state, whatever happens in between.
//
// A written request is a [Job]. A [Queue] holds the jobs of one service of one environment and goes by a [Policy].
// An [Engine] holds queues; queue/etcd is the one that is embedded, queue/jetstream is over a NATS that is there already,
// queue/mem is in memory for tests, and queue/queuetest is the contract as a suite, which each of them passes. Which job
// may start next is decided by queue/backlog, which they share and which does nothing but decide.
//
// # The life of a job
//
//	             Enqueue
//	                │ durable before it returns
//	                ▼
//	┌──────────► queued ───────────────── TTL ends ──► expired
//	│ Retry         │ Claim, under a lease                ▲
//	│               ▼                                     │
//	│            running ── Complete ────────────────► done
//	│               │ Fail, or the lease ends
//	│               ├── Release: back to queued, the attempt does not count
//	│               ├── attempts left ──► delayed ── due ──► queued
//	│               ▼
//	└───────────  dead ──── Discard ─────────────────► discarded
//
// Discard takes queued, delayed and dead jobs; a TTL ends queued and delayed ones, never one that runs.
//
// # What every engine keeps
//
//   - What Enqueue has returned is not lost. What it has not returned for may be there or not: an idempotency key
//     makes asking again safe.
//   - Each job reaches one terminal state: done, dead, discarded or expired. It leaves dead only by an operator's Retry.
//   - A job starts at least once. It runs twice at the same time only if a lease ended before its holder did: the late
//     one's Complete, Fail and Extend are then [ErrLeaseLost] and change nothing.
//   - In a lane (the jobs of one key in [OrderKey], all jobs in [OrderStrict]) the next job starts after the one before it
//     is terminal, and jobs start in the order they were accepted in, retries included.
//   - After Pause has returned no claim succeeds, by whatever process, until Resume. Accepting goes on.
//   - Bounds hold: a queue that is full refuses ([ErrFull]) and says when to come back; it never drops.
//   - What an operator does (Pause, Resume, Retry, Discard) is recorded with who, when and why in the same commit.
//
// # Time
//
// A lease ends by the monotonic clock of the process that hands out jobs, counted from when that process learned of
// it, never by comparing the clocks of two machines; when another process takes over, running leases begin again. So a
// lease is a least time, and a clock that jumps ends none. What decides who may end a job is the [Lease]'s token, which
// belongs to one attempt. NotBefore and TTL are wall-clock times, because clients say them; a jump moves those by as much.
//
// # What it will not do
//
// No exactly-once: a handler that must not act twice uses the job's ID, which is the same for every attempt. No
// exchanges, topics or fan-out: one service, one queue. No editing of stored jobs. No bodies beyond [Policy.MaxBody]:
// large things belong in a blob store, their address in the job. No promise of order between lanes, nor of order and
// priority together: in a lane, order wins.
package queue
