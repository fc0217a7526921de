// Package judging makes verdicts on a rollout of what edges count.
//
// # Problem
//
// Package verify judges batches: what two arms did in one interval. Edges tell counters that only grow, each edge its own, and
// edges come and go; steps change the shares; control dies and comes back. Between the two something must see that every
// request counts once, under the release and the step it belongs to, and remember it.
//
// # How it works
//
// A [Judge] is a function of its [Record], a [Look] at the counters, and the time in that look. The record is all it knows: the plan
// with the thresholds that were registered, package verify's state, a [Cursor] for each counter that was read, the totals of
// each step, and a series of points for the report, down-sampled. Written down and read again it goes on; what edges counted meanwhile
// is one larger batch.
//
// Each edge and each pool of the app is a stratum with batches of its own, so that a busy edge or a bad service is compared with itself. What
// is counted, and how:
//
//   - errors: failed requests of all; where a split keeps users on their arm, users who met their first error, of those at risk.
//   - latency: requests slower than quantiles of the current release, which are registered before the first that counts. Where users
//     stay, requests are counted by as many as there are users: one user's slow requests are one reason.
//   - memory: resident memory per instance, in slices.
//   - differences: of a shadow's responses.
//   - means: of values that instances push, which say what users do. One without values of both sides holds the rollout.
//
// Against the stable release, where there was no room for a fresh baseline, memory is not judged and latency may be worse by twice the
// margin: caches are warm there. The verdict says so.
//
// After the cutover there is no baseline left. Then the rate of errors is held against the one the old release was seen to have.
// It is less than a comparison, for the world moves too: it asks for more.
//
// # Invariants
//
//   - A request counts at most once, whatever dies, and once if its edge is still asked after it.
//   - The probability that a release which is as good is ever found worse is at most the alpha of the rollout: nine parts of it are
//     the trial's, one is the watch's. No evidence is forgotten between steps.
//   - What cannot be (a counter that went back, a clock that did) counts nothing and is told. It is never for the candidate or against it.
//
// # What it does not do
//
// It asks nobody, stores nothing and decides nothing: control does the first two and package rollout the last.
package judging
