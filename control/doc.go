// Package control performs what [semper/rollout] decides: it is the loop of the control process.
//
// # How it works
//
// One goroutine (the loop) owns the model: every environment, release and the route table as stored,
// and every instance and edge as last observed. Observations arrive from four sources, each with a
// goroutine of its own: the keeper's watch, one prober per running instance, the edges' states, and
// the API's commands. After each arrival the loop asks the pure machine what follows, writes the
// answer by one compare-and-set, and only then performs the commands, in goroutines that may be
// slow, fail, or be repeated.
//
// # Invariants
//
//   - Only the holder of the leadership writes: its fence is a condition of every transaction (L7).
//   - The model changes only by a transaction that succeeded, so what the API answers is stored.
//   - With the keeper or the store out of reach nothing is decided: what runs goes on running (L9).
//   - A new control process starts from the store and the last route table. Instances that the table
//     names in the same incarnation count as ready until a check says otherwise, so its start moves
//     no traffic.
//
// # What it does not do
//
// It restarts nothing: supervisors in the keeper do. It carries no request: edges do.
package control
