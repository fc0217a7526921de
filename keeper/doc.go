// Package keeper is the root process of a machine: it owns the listening sockets and the operating
// system processes of one semper, and outlives every one of them.
//
// # What it must never lose
//
// A keeper can be killed at any instruction, or replace itself by a newer binary, and neither may
// cost a connection, leave a process nobody answers for, or start a second one of anything. Three
// facts make both the same case:
//
//   - Every process is marked in its environment with the data directory's id, a token that was on
//     disk before the process was first started, and the number of the incarnation. So a process
//     started a moment before the keeper died is found again, and one that belongs to no record any
//     more is known to be a stray.
//   - Every process is journaled with its pid and start time, which name it for ever, and watched by
//     a pidfd. What lives is adopted; what ended unseen is reported, and restarted by its supervisor.
//   - Listening sockets are held by the keeper and offered back by every edge and control process. A
//     keeper takes them back from those before it binds anything.
//
// Replacing itself is therefore just exec: it flushes the journal, lets the descriptors through and
// becomes the new binary, which boots as after a crash, only that the processes are still its
// children and no socket has to be fetched. If exec fails nothing has been torn down.
//
// # The tree
//
//	root                      one_for_one
//	├── system                one_for_one, never gives up
//	│   ├── store
//	│   ├── control-1
//	│   └── edge-1            two of a kind while one is being replaced
//	└── instances             one_for_one
//	    └── app/env r42 web   one_for_one, intensity of the service, never gives up
//	        └── app/web.r42.1
//
// That is what restarts. What is shown is one level more at the top, the machine, and as many below each process as its
// program tells of (package trees): asked when somebody looks, all at once and for a moment only. Nothing is decided by
// what a program says, and the crash of an actor is a report, not an end.
//
// A supervisor of a service that passed its intensity says so (End.GaveUp) and goes on at back-off:
// whether a crash loop turns a rollout back is decided elsewhere, and half a service is better than
// none. A start that fails is an incarnation that ended at once (ReasonStart): counted, backed off
// and reported like any other end.
//
// # Who owns what
//
// keeper.mu guards all state; whoever holds it never waits and never calls a supervisor. A member's
// op serialises starting, stopping and forgetting that member and is taken first. Supervisors tell
// what happened through observe, on their own goroutines. Disk writes happen on the journal's
// goroutine, in the order of the facts, so that a restart waits for none of them.
//
// # What it does not do
//
// It has no network client, judges no health, decides no placement and reads no store. It reports
// ends; it does not explain them. It trusts what runs as its own user.
package keeper
