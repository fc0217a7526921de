// Package control performs what [semper/rollout] decides: it is the control process.
//
// # How it works
//
// One process of package actor owns the model: every environment, release and the route table as stored, and every
// instance and edge as last observed. What it learns are messages, from four sources: the keeper's watch, one prober per
// running instance, the edges' states, and the API's commands. When it has taken what had gathered, it asks the pure
// machine what follows, writes the answer by one compare-and-set, and only then has the commands performed, each by a
// child that may be slow, fail, or be repeated.
//
//	control              rest_for_one
//	├─ streams           what readers of logs and events get, one child each
//	├─ terms             simple_one_for_one: at most one at a time
//	│  └─ leader         rest_for_one; ends with its lease
//	│     ├─ lease       ends when the leadership is lost
//	│     ├─ model       the actor
//	│     ├─ work        simple_one_for_one: commands, once each, and probers, which are restarted
//	│     ├─ keeper watch
//	│     ├─ edges watch
//	│     ├─ scaling       numbers of instances that follow the load
//	│     └─ judge         what edges count of rollouts on trial, as verdicts
//	└─ seeker            seeks the leadership, starts its term and waits for its end
//
// A panic ends one of these and what depends on it. A model that has crashed is read anew from the store, and its
// observers begin again with all there is; nothing that runs on the machine notices. The one command in whose middle it
// happened gets an error that says so; the others wait for the next model. See the comments of [Control.Run] and in
// tree.go for who restarts whom and how often.
//
// # Invariants
//
//   - Only the holder of the leadership writes: its fence is a condition of every transaction (L7).
//   - The leadership is given up only when nothing of its term runs any more.
//   - The model changes only by a transaction that succeeded, so what the API answers is stored.
//   - A command is begun by a model or withdrawn by its caller, never both, and begun at most once.
//   - With the keeper or the store out of reach nothing is decided: what runs goes on running (L9).
//   - A new control process starts from the store and the last route table. Instances that the table
//     names in the same incarnation count as ready until a check says otherwise, so its start moves
//     no traffic.
//
// # What it does not do
//
// It restarts no instance: supervisors in the keeper do. It carries no request: edges do.
package control
