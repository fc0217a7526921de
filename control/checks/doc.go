// Package checks tells a scrape what stands between a release and its traffic: the judge of a rollout and the gates of a pipeline's run,
// and how tasks and crons end.
//
// # Problem
//
// An edge counts requests, and its metrics say nothing of who lets a release go on. Alerts and boards want both from one scrape.
//
// # Invariants
//
//   - A check is told in one state: of its series of semper_check_verdict one is 1, and the others are 0.
//   - What is over is told no more: a rollout that has ended, and all runs of a pipeline but the newest.
//   - Tasks are told by when they ended, not by how many: of those that are forgotten nothing is known, and a count that falls is none.
//   - The text is valid in both formats of Prometheus, and in the one that it is added to.
//
// # What it does not do
//
// It keeps no counters and no state: it is a function of what control knows.
package checks
