// Package task says what becomes of commands that run once and end: those that somebody asks for ("semper run"), and those that a cron's
// schedule asks for. It is a pure machine: (what is stored, what is observed, now) → (what to store, what to do).
//
// # Problem
//
// A cron beside the app runs whatever lies on the machine, once more after a crash, not at all after a reboot, twice when there are two
// of them, and nobody knows how it ended. Here it is a unit as every other: it runs in the release that serves, under the keeper, with
// an end that is written down.
//
// # How it works
//
//	queued → starting → running → done | failed | stopped
//
// A [Task] is one execution. [Step] moves all of them on, and begins those that a [Cron] is due for. A due time is used up by the
// same transaction that begins its task or says why there is none, so that it is one or none, whoever decides and however often it is
// decided. The unit of a task has a name of its own, and its keeper starts a name once.
//
// Which release: the one that serves when the task starts. It goes on to its end in that one, whatever is deployed meanwhile.
//
// # Invariants
//
//   - At most one task per due time, and at most one start per task, over kill -9 of whoever decides or runs it.
//   - A task that was seen to run is never begun again: one that nobody knows of any more has failed.
//   - Each task comes to one end, and that is told once.
//   - No task of an environment starts while a migration there holds requests: the migration has the data to itself.
//
// # What it will not do
//
// It reads no clock and starts nothing. It tries nothing again: what shall be tried again is a job of a queue.
package task
