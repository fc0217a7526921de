// Otptrace plays supervision trees and schedules of faults on package supervise and prints what happened. The script
// beside it, otptrace.escript, plays the same input on the supervisor of Erlang/OTP, so that
//
//	go run ./supervise/otptrace -generate 100 -seed 7 > cases
//	go run ./supervise/otptrace < cases > semper.trace
//	escript supervise/otptrace/otptrace.escript < cases > otp.trace
//	diff otp.trace semper.trace
//
// shows where the two differ: nowhere. Package supervise/internal/otpcase says how traces are to be read, what is made the
// same in them, and which cases -generate leaves out because the two are meant to differ.
package main

const usage = `Usage: otptrace < cases           play cases, print their traces
       otptrace -generate N [-seed S]  print N random cases

Plays supervision trees and schedules of faults on package supervise, in real time. otptrace.escript, beside the source,
plays the same input on the supervisor of Erlang/OTP; the traces are equal, or one of the two has a bug.

Input is one JSON object per case, any number of them. An example:

{"name": "example",
 "tree": {"strategy": "rest_for_one", "intensity": 2, "period": 5, "children": [
   {"id": "db", "shutdown": "brutal_kill"},
   {"id": "web", "tree": {"children": [{"id": "a"}, {"id": "b", "restart": "transient"}]}}]},
 "steps": [
   {"do": "exit", "child": "web/b", "reason": "normal"},
   {"do": "starts", "child": "web/a", "starts": ["fail"]},
   {"do": "exit", "child": "db", "reason": "crash"}]}

case   name   letters, digits and any of _.-
       tree   the root
       steps  done one after the other, each when nothing moves by itself any more
tree   strategy       one_for_one (default), rest_for_one, one_for_all, simple_one_for_one
       intensity      restarts allowed within a period; default 1
       period         seconds; default 5
       auto_shutdown  never (default), any_significant, all_significant
       children       in start order; of simple_one_for_one: the one of which all are made
child  id             unique in its tree; the ids from the root down, joined by "/", are a child's path
       restart        permanent (default), transient, temporary
       shutdown       milliseconds (default 5000), "brutal_kill", "infinity" (default of supervisors)
       significant    true or false (default)
       type           worker (default) or supervisor: how it is counted
       tree           makes it a supervisor
       on_stop        what a worker ends with that is asked to stop: shutdown (default), normal, crash;
                      or ignore: it does not end
       starts         what becomes of its first starts: ok, fail, raise (an exception), ignore, taken
                      (already_started), block (wait until released, then go on in the list); ok when it is used up
step   {"do": "exit", "child": PATH, "reason": normal, shutdown, shutdown_term ({shutdown, Term}), crash, or
                                               kill (from outside)}
       {"do": "starts", "child": PATH, "starts": [...]}   what becomes of its next starts
       {"do": "start_child", "supervisor": PATH, "spec": CHILD}   of simple_one_for_one: id, which must be
                                               new, and starts count; no supervisor: the root
       {"do": "terminate_child", "child": PATH}, and restart_child, delete_child
       {"do": "advance", "ms": N}              let time pass
       {"do": "release", "child": PATH}        end the blocking of its start
       {"do": "stop"}, {"do": "kill"}          the root
At the end, blocked starts are released and the root is stopped.

Exit status: 0, 1 if a case could not be played, 2 for bad input (the message names the line and the key).
`
