// Package backlog decides what a queue does next: which job may start, which has waited too long, which lease has
// ended. It is a value and functions of it and the time, with no clock, no lock and no I/O, so that engines and
// simulations decide alike.
//
// It holds of each job what deciding needs and not its request: about 300 bytes, so 200,000 jobs are 60 MB.
//
// # How it is made
//
// Jobs stand in lanes. A lane is a heap and a number of jobs that may run at once: one lane for all jobs in
// queue.OrderNone, one lane per key where order or a bound is per key, one lane of width 1 in queue.OrderStrict. Lanes
// that could start a job are in a heap by their first job, so picking costs O(log lanes + log jobs). In an ordered
// lane a job that waits for its time stays at the head, and everything behind it waits; elsewhere it stands beside
// the lane until it is due.
//
// # Invariants, which the tests check after each step
//
//   - a job is in exactly one place: its lane, the heap of times, picked, running, or dead
//   - a lane is among the open ones exactly when its head may start by order, width and time
//   - counts and bytes are those of the jobs
//
// What it will not do: remember how jobs ended. Ended jobs are removed.
package backlog
