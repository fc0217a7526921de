// Package supervise restarts what ends: OTP supervision over any unit, be it a goroutine, an OS process, a container or
// another supervisor. It imports nothing but the standard library.
//
// # Problem
//
// Everything that runs ends some day, most of it unexpectedly. Whoever notices must decide whether to start it again,
// together with what else, how often before it is hopeless, and in what order to take things down. Erlang/OTP has had
// the right answer to this for decades, and its value lies in the edges: what happens when a restart fails, when a
// child is removed while it is being restarted, when its sibling dies in the middle of that. Package supervise gives
// those answers, and where it departs from them it says so below.
//
// # A tree
//
// A [Supervisor] is started with [Flags] and a list of [ChildSpec]. Each spec has a [StartFunc] that returns a [Child]
// once the child has acknowledged that it runs. Children start in order, each after the one before, and stop in reverse
// order, each after the one after it is gone. A Supervisor is a Child, so supervisors nest:
//
//	OneForOne   a child that ends is restarted alone
//	RestForOne  those started after it are stopped, then it and they are started: for children that need earlier ones
//	OneForAll   all others are stopped, then all are started: for children that make sense only together
//
// Permanent children are restarted whenever they end, Transient ones after an abnormal end, Temporary ones never.
//
// At most Intensity restarts may happen within Period, over all children together; every attempt counts, also one whose
// start fails, and a round over several children counts once. One more, and the supervisor escalates: it stops its
// children and ends with reason Shutdown, leaving the matter to the supervisor above, which restarts it if it is
// Permanent. A failed restart is tried again through the supervisor's own mailbox, so that a call or a stop that came
// meanwhile is served first: RestForOne goes on from the child that failed, OneForAll starts everything over.
//
// A restart under RestForOne or OneForAll starts every spec in its range, also that of a child which had ended normally
// or was terminated. That surprises some, and is what OTP does.
//
// A supervisor may end with its work: a Significant child that ends by itself, and is not restarted, ends it by
// [AutoShutdown]. [Supervisor.Change] replaces flags and specs while the children run.
//
// # Many of one kind
//
// A [Dynamic] has any number of children that come and go, known by the Child they are and not by an id: OTP's
// simple_one_for_one. [Partitions] are copies of one child, each for its share of the keys.
//
// # Children
//
// [Serve] makes a child of any function that works until its context ends, [ServeReady] of one that tells when it is
// ready, [ServeService] of a suture service. Everything else is a Child by four methods. A child that tells of its own
// end, a [Notifier], needs no goroutine that waits for it: under a Dynamic it costs a few hundred bytes, and a million
// of them is no matter. Supervisors, and children made by Serve, are Notifiers.
//
// A goroutine cannot be killed. A child that has one says so by being [Abandonable]: killed, it is disowned, its Done
// is closed and its successor may start, and as long as its goroutine has not returned [Supervisor.Abandoned] lists it.
//
// # Invariants
//
//   - P1: of one id there are never two incarnations, save abandoned ones: a start happens only after the Done of the
//     one before.
//   - P2: children stop in reverse start order; those of a Dynamic all at once.
//   - P3: within any Period there are at most Intensity counted restarts, or the supervisor has given up.
//   - P4: when Done of a supervisor is closed, none of its children runs, or Abandoned lists it.
//   - P5: every call is answered once.
//   - P7: TerminateChild is final, also while the child is being restarted: only a call or a sibling's round starts it
//     again.
//   - P8: a Temporary child is never restarted, not even when a sibling's strategy stopped it, and what its StartFunc
//     holds is let go as soon as it runs.
//   - P11: a supervisor shuts down for its significant children exactly when one ends by itself.
//   - P12: a Dynamic keeps nothing of a child that neither runs nor is to be restarted.
//   - Between Done of a child and its next start, when no delay is due, lie a few microseconds and no timer.
//   - Every goroutine of a supervisor is waited for before its Done is closed or its Release returns.
//
// The tests check them by these numbers, which are those of the design; P6, P9 and P10 concern processes and the
// comparison with a running Erlang.
//
// # Inside
//
// The core (decide.go, restart.go, admin.go, change.go, timers.go, window.go) is pure: a function of its state, an input
// and the time, which returns commands and events. The loop (loop.go) is one goroutine that takes inputs from a mailbox
// and performs commands. Each start has one goroutine (incarnation.go), which calls the StartFunc and then, unless the
// child is a Notifier, watches it. Supervisor, Dynamic and Partitions are three faces of one core and loop.
//
// # Deviations from OTP
//
//   - Time is monotonic and in nanoseconds. OTP counts whole seconds, so that whether a restart just over a period old
//     counts depends on the phase of its clock. A restart exactly one period old counts, here and there.
//   - The zero Intensity is 0: the first restart is one too many. OTP's default is 1, Elixir's 3. The default Period is
//     5 s, as in OTP.
//   - An OTP supervisor blocks while it starts or stops a child. Here OneForOne and Dynamic do not: a child that takes a
//     minute to start or to stop must not delay the restart of its sibling, for then one bad process makes others
//     unavailable. Calls about that child wait for it, or, for TerminateChild, cancel its start. The initial start,
//     RestForOne and OneForAll keep OTP's order: one thing at a time, later inputs waiting for their turn.
//   - A stop, or a TerminateChild, cancels the context of a start that is under way. OTP waits for it.
//   - A child may have a [Backoff]. While a restart under RestForOne or OneForAll is delayed, those that it concerns are
//     stopped already. OTP has no delays.
//   - [Persist] goes on restarting at back-off where OTP escalates.
//   - An end from outside ([Reason].External) is neither counted nor backed off.
//   - A restart is counted when it is decided, not when it is made. This differs only for one that is delayed or
//     cancelled.
//   - A Child that ends while its supervisor is waiting to stop it anyway is reported as Ended with what is done about it.
//   - The end of a caller's context ends the waiting, never the work.
//   - Killing a goroutine disowns it: its successor may start, and Abandoned lists it until it returns. OTP can kill.
//   - A Dynamic's children have specs of their own, as in Elixir, where simple_one_for_one has one for all; extra
//     arguments are what the StartFunc closes over. An ignored start gives ErrIgnore, where OTP gives {ok, undefined}.
//   - Change of a child that is being restarted to Temporary ends the restarting. OTP would restart it once more.
//   - Partitions.Resize forgets those it stops, so that RestForOne and OneForAll do not bring them back. Elixir keeps
//     their specs. Keys are 64-bit numbers or strings by FNV-1a, where Elixir hashes any term.
//   - There is no init function that could return ignore: whoever calls Start decides before.
//
// # What it will not do
//
// It does not decide whether a child is healthy: whoever knows kills it. It cannot kill a goroutine: a Child that is one,
// is not Abandonable and does not heed Kill blocks the stop of its supervisor, as a start does that does not heed its
// context; [Supervisor.Blocking] names both. It keeps nothing on disk: adoption after a crash is a StartFunc that returns
// a child that already runs. It has no names and no messages: those are package actor's. It does not catch a panic in a
// method of a Child, which is a bug of that Child and not of what it runs.
package supervise
