// Package tasks is control's part in tasks and crons: it brings what package task decides, what is stored of it, and what the model of a control
// process knows together.
//
// # How it works
//
// A [Desk] belongs to the model's process, which feeds it stored items, asks it at each decision to [Desk.Step], and puts its [Change] into
// its own transaction, under the leadership's fence. A [Surface] is the part of the API that is about tasks.
//
// # Invariants
//
//   - A due time is settled, and the task for it made, by one transaction.
//   - Nothing is in the desk that is not stored, but for what a keeper refused, which is found out again.
//   - No unit is asked for before the transaction that says so is stored.
//
// # What it will not do
//
// It commits nothing itself and starts no goroutine. A Desk is not safe for concurrent use; a [View] of it is.
package tasks
