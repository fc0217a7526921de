// Package semper is the one page of nouns: every value the parts of semper hand to each other, and
// the contracts with more than one realization. Read top to bottom it is the specification:
//
//   - release.go: artifact digests and releases, the values production points to
//   - spec.go: what an app is made of (semper.yaml after interpolation and defaults)
//   - unit.go: instances, how they end and what is reported of it
//   - route.go: route tables, pools, holds, drains and the ledger
//   - environment.go: the pointer, placements, rollouts and their states
//   - pipeline.go: the way of a release through environments, its gates and what came of them
//   - event.go, error.go: what happened, what went wrong and what to do next
//   - store.go: the source of truth, as a contract
//
// The package imports the standard library only, starts no goroutine and does no I/O.
package semper

// Version of semper, set by the linker in a build of a tagged commit.
var Version = "0.1.0-dev"
