// Package autoscale decides how many instances of a service should run.
//
// # The problem
//
// A number of instances that is written down is wrong most of the time: too many at night, too few when something is sold out.
// Whatever follows the load by itself can do three kinds of harm: it swings, it takes away what is needed because it could not
// see, and it sleeps through the request that should have woken it.
//
// # How it is solved
//
// [State.Step] is a pure function: what a service is to be scaled by (its [Policy]), what is seen of it now ([Signals]), what was
// seen before (the [State]) and the time come in; how many instances are wanted, and why in words, come out ([Decision]). Who calls
// it once a second performs that.
//
// Each signal has a target per instance, and asks for as many instances as meet it: requests in flight or waiting, jobs that
// could start, and how long the oldest of those has waited. The signal that asks for most decides. Instances that are on their way
// up count as much as ready ones, so that a slow start is not answered with more starts.
//
// # Invariants
//
//   - What is wanted is between Min and Max; a service is at 0 only where Min is 0, and only after ToZeroAfter with nothing to do.
//   - Nothing is taken away on a signal that is missing, nor before everything that was asked for during Down.After allows it. A gap
//     in the signals begins that time anew.
//   - Under a constant load the number settles: within [Tolerance] of the target nothing changes, and what was added is needed.
//   - No more are added, or taken away, at once than the policy's steps allow, and the next step waits until the one before can
//     show. The first instance of a service that sleeps waits for nothing.
//   - While a rollout is under way nothing is taken away.
//
// # What it does not do
//
// It does not say which instances go: package rollout does, the idle ones first. It does not predict: a load that comes every
// morning is seen when it comes.
package autoscale
