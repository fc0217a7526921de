// Package delivery is control's part in pipelines: it brings what package pipeline decides, what package record keeps and what the model of a
// control process knows together, and keeps the users who may have a say and the cursors of webhooks.
//
// # How it works
//
// A [Desk] belongs to the model's process, which feeds it stored items, asks it at each decision to [Desk.Promote] runs, and puts its
// [Change] into its own transaction. What the desk needs of the model for that is an [Office]. What commands of gates, questions and webhooks take
// long for is done by children of the model: the desk only says what.
//
// # Invariants
//
//   - A run enters an environment by the transaction that begins the environment's rollout.
//   - Nothing is in the desk that is not stored, but for answers of HTTP gates, which are asked for again.
//   - Of a token only digests are kept.
//
// # What it will not do
//
// It commits nothing itself and starts no goroutine. A Desk is not safe for concurrent use; a [View] of it is.
package delivery
