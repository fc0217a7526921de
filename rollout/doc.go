// Package rollout decides how an environment moves from one release to another. It is a pure state
// machine: everything it knows comes in as values (the stored environment, what is observed of the
// world, the time) and everything it wants comes out as values (the next environment and commands).
//
// # The problem
//
// A move of production has many steps, each of which may fail, be repeated, or be cut short by the
// death of the process that performs it. None of that may be seen by a request (law L2), send work
// to an instance that is not ready (L3) or lose one (L4).
//
// # How it is solved
//
// The machine is level-triggered. [Step] looks at where the environment is and at what is true now;
// it does not count on having seen how the world came to be so. Commands are idempotent: "this
// instance should run" may be said twice. Whoever performs them writes the new environment, the
// route table that follows from it and the events by one compare-and-set before it performs
// anything. So a control process may die between any two instructions, and the next one goes on by
// calling Step with the same stored value.
//
// Three functions make everything a control process does:
//
//   - [Deploy] and its siblings turn a user's command into a changed environment, or refuse it.
//   - [Step] moves the environment on by what is observed.
//   - [Routes] derives the route table from all environments and the readiness of their instances.
//
// # On trial
//
// A release whose spec has steps earns its traffic. It is started in part, beside as many new instances of the current release
// (the fresh baseline), and then goes through its steps: each declares a share of the requests in the route table, and is left
// by a verdict of [World.Verdict] on that very step, after its time, or by somebody's word. A verdict of worse takes the
// traffic from it by the next table. After the last step the rest of its instances is started, and it is connected as any other.
// The baseline is left out by the same table. Workers, and services that the current release does not have, are not on trial:
// they are started for the cutover.
//
// # Pinned clients
//
// A page of one release that calls another's API is version skew. Where the routes of a deployed release ask for it, the one
// before stays in the table for a window after the cutover, in pools of [semper.ArmPrevious]: edges give it the clients that
// stick to it, and nobody else. It is cut when the window ends, in the same step with a rollback, a turn back, a promotion or the next
// cutover, and drains from that epoch on. Nobody is pinned to what a rollback or a hotfix replaces.
//
// # Invariants
//
//   - A pool of a route table names instances of exactly one release, all of them ready.
//   - Current changes only in the step that enters connect or rolling-back, and the table with it.
//   - An instance that had traffic is stopped only when every live edge serves by an epoch that
//     leaves it out, and has nothing in flight to it or its class deadlines passed.
//   - A rollout that fails before connect leaves Current and Previous as they were, and the table as it was before its trial.
//   - While a release is on trial its share of the requests is the one that its present step declares, or less.
//   - A step's time runs from the moment in which every live edge serves by its table.
//
// # What it does not do
//
// It does not restart what crashed: that is the supervisor's work, and it has done it already when
// Step hears of it. It does not judge a release by its traffic: a judge elsewhere does, and Step goes by its verdict.
package rollout
