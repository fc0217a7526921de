// Package verify is the judge: numbers of two releases in, a verdict out, with the evidence it rests on.
//
// # Problem
//
// A new release, the candidate, gets a part of the traffic beside one that is known, the baseline. While numbers arrive somebody
// must say whether it is worse, as soon as that is clear and never because of chance. Two things make that hard.
//
// One looks all the time. A test that errs once in a hundred looks errs nearly always when it is asked every second: with 2,000
// looks a z-test at 5 % rejects a third of all releases that are the same. And the world moves: rates have hours, shares of the
// traffic grow from step to step, users come back, errors come in bursts, machines differ.
//
// # E-processes
//
// All evidence here is an e-value: a number that starts at 1 and that no strategy of looking, stopping or going on lets grow beyond 1 in
// the mean, as long as the candidate is no worse than allowed. By Ville's inequality it ever reaches 1/alpha with probability at most
// alpha. So a verdict may be asked for after each batch, evidence is carried over the steps of a rollout, and nothing has to be
// decided beforehand but what is measured and how sure one wants to be. The mean of several e-values is one again, whatever they
// have to do with each other: that is how metrics, and thresholds within one, share a budget.
//
// There are five kernels:
//
//   - [Counts]: of the bad requests of a batch, how many were the candidate's? For errors, users with errors, requests slower than
//     a threshold that was registered before, and differences of a shadow's responses. It goes by the shares of the traffic as they
//     really were.
//   - [Paired]: in a slice of time, is the candidate's part of bad requests as often above the baseline's as below? For what comes in bursts,
//     beside Counts: then both must convict.
//   - [Slices]: is the difference of two levels as often up as down? For gauges.
//   - [Tuning]: an asymptotic confidence sequence, for means of business metrics over users.
//   - [Shares]: does the traffic fall as it was to fall? If not, the arms may not be alike, and nothing that is compared means
//     anything.
//
// [Ratio] and [Rate] are intervals to report, valid at all times at once. [Judge] puts it all together by a [Plan].
//
// # Verdicts
//
// A [Verdict] is better-or-equal, worse or undecided. That there are no data, or that the split is not the declared one, is neither for
// the candidate nor against it: such a verdict is undecided, with its own cause. Worse is said once and stays. Better-or-equal
// means that nothing speaks against the candidate after all the time and the requests that were asked for, and tells how much worse it
// could still be.
//
// # What must be so
//
// Within a batch everything but the release must be the same for both arms: a request, or a user, falls on one of them by chance. So
// both are started together and their warm-up is discarded alike; the baseline is a fresh one, of the same size, wherever
// there is room for it. If users stay on their arm, their errors come in bursts and [Users] must be counted: bursts of three make a
// test of requests reject a third of the sound releases. A process that stands still for a moment makes all slow that it has in hand: so
// latency must also be worse in many slices of time, and errors where a metric says that they come in bursts. By default each error
// counts: a release that fails everything is to go back in a second, and one whose instance dies under its requests is not better
// for having done it at once. One bad machine with the only instance of the candidate cannot be
// told from a bad release.
//
// # What it does not do
//
// It collects nothing, keeps no clock, starts no goroutine and does no I/O. State is a few numbers for each metric, which are
// written as JSON and read again. It does not judge by static limits, and it never says "safe": it says how much worse a release can
// still be.
//
// Formulas have their sources beside them; where they were published with numbers, tests reproduce these.
package verify
