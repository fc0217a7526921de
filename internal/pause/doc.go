// Package pause waits for a time, or until somebody has had enough.
//
// # Problem
//
// A loop that looks again after a while must end at once when its owner does, and must leave no timer behind. Written out, that is nine lines, which every
// loop had of its own.
//
// # Invariants
//
//   - When [For] has returned, nothing of it is left: neither a goroutine nor a timer.
//   - A context that has ended already is never waited for, however short the pause.
//
// # What it will not do
//
// It does not say how long to wait: back-offs and jitter belong to who waits.
package pause
