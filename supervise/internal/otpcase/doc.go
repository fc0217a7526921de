// Package otpcase plays trees of supervisors and schedules of faults on package supervise, and writes down what happened
// in a form that can be compared, line by line, with what the supervisor of Erlang/OTP did in the same case. The twin that
// plays them on OTP is otptrace.escript, beside the command otptrace, which is this package with a main function. Both
// sides are driven through their real processes: here the loops and goroutines of supervise, not its core.
//
// # A case
//
// A [Case] is a tree and steps. A child does what its script says at each start (ok, fail, raise, ignore, taken: the name
// is in use elsewhere, block: wait until released, then go on in the script), and ends when a step says so or its
// supervisor asks. A step ends a child, asks a supervisor something, lets time pass, or stops or kills the root. The next
// one begins when nothing moves by itself any more.
//
// # A trace
//
// Each step is a line with what was done, followed by what came of it:
//
//	3 exit a crash
//	  down a crash                                     an incarnation ended, for a reason of this kind
//	  stop b                                           a worker was asked to end (one that is killed only goes down)
//	  down b shutdown
//	  start a                                          a start was acknowledged; of a supervisor: after its children's
//	  startfail b                                      or taken, ignore, raise, block
//	  answer 3: ok                                     what call 3 came to, in OTP's words; noproc: there is no such supervisor
//	  / a up, b undefined; active 1, supervisors 0, workers 2
//	  /s busy                                          what each supervisor says of its children; busy: a start below it blocks
//
// What a supervisor says stands only where it differs from the step before. The last lines are the reason for which the root ended and,
// if there are any, the workers that it left behind.
//
// # What is made the same
//
//   - After a release, supervisors that waited go on side by side: the events of such a step are sorted by supervisor.
//   - Children of a simple_one_for_one stop in parallel: an unbroken run of their ends is sorted by child.
//   - When the root is killed, the processes of OTP end for themselves, in no order: that step says nothing but the end.
//   - A start_child whose start says that the name is taken is answered already_started. OTP 25 wraps that in a tuple.
//   - A call about an ignored start is answered ok on both sides; that there is no child shows in what is listed.
//   - count_children of a simple_one_for_one: OTP counts one spec, here each child is one. Traces leave out the specs.
//
// # What generated cases leave out
//
// These are the deliberate deviations of package supervise, see its doc, and what OTP leaves to chance:
//
//   - OTP counts whole seconds. Whether a restart more than one period and less than one period and a second ago counts
//     depends on the phase of its clock; no two restarts are that far apart.
//   - A supervisor of OTP blocks while a child starts. One with OneForOne does not here, except in its own start; so
//     starts block only in a boot, or below supervisors that all do one thing at a time.
//   - A stop, or a terminate_child, cuts a start or a restart that is under way short here, and waits for it in OTP. No step
//     does either while a start blocks, and nothing befalls the supervisors above, which would stop the blocked one.
//   - A failed restart is counted here when it fails, in OTP when its supervisor gets round to the next attempt. What
//     waited for a blocked start comes in between, and can make that attempt needless. So either no start fails in a
//     case in which one blocks, or the limits are out of reach.
//   - A StartChild with an invalid spec is refused here by the caller, in OTP by the supervisor, which may be blocked. No
//     such call is made where starts block.
//   - A nested supervisor is never killed: OTP would leave its children to end for themselves beside the next ones.
//   - Several faults at once come only while a start blocks, where the mailbox gives them an order, and not where a nested
//     supervisor may end for one of them while the one above it takes note that it has started.
//   - OTP 25 has a bug: of a child of a simple_one_for_one whose restart is ignored it keeps an entry without a process,
//     which it counts as active and on which its stop crashes. No such restart is ignored.
//   - Back-off, Persist and External, which OTP does not have.
package otpcase
