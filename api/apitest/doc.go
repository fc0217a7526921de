// Package apitest is a whole semper in memory: an api.Service with releases, rollouts that pass their
// states, events, logs, crash reports and a ledger, and with no process behind any of it. Surfaces
// are tested against it.
//
// Time is its own: each reading of its clock is one second later than the one before, so what it
// tells is the same in every run. Rollouts move by themselves as far as [Semper.Stall] lets them;
// [Semper.Break] makes the next one fail the way real ones do.
package apitest
