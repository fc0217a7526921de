// Package queues is control's part in queues: what people may see of them and do to them, over an engine that other processes work with.
//
// # Problem
//
// Jobs that wait, fail or die concern whoever answers for a service. He has to find them, look into them without reading anybody's
// password, stop what harms, and say "again" or "never", and it must be known later who did.
//
// # Invariants
//
//   - A pause has returned only when no job can start any more: the engine's barrier, not a wish.
//   - A queue is said to be drained only after the store was asked, never by numbers that are a second old.
//   - What somebody does is recorded by the engine in the commit that does it, and told as an event.
//   - No value of a field or parameter that may be a secret leaves this package.
//
// # What it will not do
//
// Hand out jobs: its engine is one that is apart. Change a job: what is retried is what was accepted. Hide what is in bodies: whoever may
// look at jobs sees what clients sent.
package queues
