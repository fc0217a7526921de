// Package record is what is stored of pipelines, as whoever leads keeps it in memory, and the writes that change it.
//
// # Problem
//
// A run, the statements it has earned and the events that tell of it have to change together or not at all, and together with the
// environment that the run enters. So the writes must end up in one transaction of somebody else.
//
// # How it works
//
// [Records] are fed with stored items when the leader begins. A [Change] gathers conditions and writes, and shows what would be after it; its owner puts them into
// his transaction, and has Records take the change in once it is stored. Statements are signed when they enter a change, and checked when they
// are asked for: whatever stands in the store counts only if a trusted key has signed it.
//
// # Invariants
//
//   - Statements, and the marks of what has served where, are written with the condition that they are not there.
//   - Records change by a change that was stored, and by nothing else.
//
// # What it will not do
//
// It decides nothing, and is not safe for concurrent use: one process owns it. What it hands out is not changed afterwards.
package record
