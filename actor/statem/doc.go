// Package statem gives processes of package actor that are state machines, as gen_statem of Erlang/OTP does.
//
// # The problem
//
// A server whose answer to a message depends on what happened before soon has a flag for it, then three, and each of
// its handlers asks all of them. What it cannot do yet it must keep in a list of its own, and look through that list at
// the right moments. Its timers strike after they were of use, since to stop a timer does not take back the message it
// has sent. Each of these is easy and all of them together are where such servers break.
//
// A machine has one state of a type of your own at a time, and the library does the rest: events that come too early
// are postponed and come again when the state has changed, timeouts belong to a state, to the next event or to a name
// and never come once they are cancelled, and Enter is called wherever a change came from.
//
// # A machine
//
// A [Machine] is a process of messages of type M, so that actor.Call, Ref.Cast, names and supervisors work as for any
// other. Its callbacks get a [Turn]: the event in hand, and what may be asked for.
//
//	func (l *Lock) Handle(t *statem.Turn[state, message], m message) error {
//		switch m := m.(type) {
//		case button:
//			if l.unlocks(m) {
//				t.Goto(open)
//				t.StateTimeout(10*time.Second, relock{})
//			}
//		case relock:
//			t.Goto(locked)
//		}
//		return nil
//	}
//
// A call is a message with an actor.From in it, answered by its Reply: at once, in a later state, or by whoever it was
// handed to. [States] is for machines written as one function per state.
//
// # The order of events
//
// A turn handles one event. When its callback has returned:
//
//  1. The event is put aside, if the turn postponed it.
//  2. If the state changed, all that was postponed comes back into the queue, oldest first, before what is in it, and
//     the timeout of the state is cancelled. Whatever happened, the timeout of the event is cancelled.
//  3. If the state changed or was repeated, Enter runs.
//  4. The timeouts asked for are started, changed or cancelled in the order asked for; one of zero is due. Of several
//     things asked of one timeout the last counts.
//  5. The next events asked for go in front of the queue, in the order asked for.
//
// Then the next event is taken from the queue; when that is empty, from the timeouts that are due; and only when there
// are none, from the mailbox. So an event that was inserted comes before one that comes again, and both before anything
// that anybody sent. Replies and casts to others leave when they are made, not at the end of the turn.
//
// # Invariants
//
//   - A timeout that was cancelled, asked for anew, or left with its state never comes, also when its clock has
//     struck: each has a number, and what does not have the number that runs is dropped.
//   - No event is lost or comes twice, but for those that are left when the process ends. Callers in a postponed or
//     queued event are told of the end.
//   - A machine at rest has no goroutine, and its timeouts are timers of the runtime. Its end stops them; after a Kill
//     they strike into the void.
//   - What decides is a pure function of state, event and what was asked for. It is compared with a naive model of
//     itself and with gen_statem of a real Erlang/OTP, whose traces are in testdata.
//
// # What it won't do
//
// It does not check that a change from one state to another is a legal one, and it draws no diagrams: the code is the
// table. States do not nest; a state can be a struct of several parts. There is no call at the exit of a state, as in
// OTP: the Enter of the next one knows where it came from. A machine is not handed over to a successor in another
// program (actor.Exporter): what is postponed in it holds callers, who cannot be.
//
// # Deviations from gen_statem
//
//   - The data is the Machine's own and changes in place, where OTP returns it. A callback that fails leaves it half
//     changed, for nobody but Terminate and the crash report.
//   - What is asked for is asked by methods of the Turn, where OTP returns a list of actions; keep_state is to ask for
//     nothing. stop is to return actor.Stop, stop_and_reply is to reply before.
//   - Events that a machine makes for itself, next events and timeouts, are of its type of message, which is checked by
//     the compiler; OTP takes any term and any type of event.
//   - A timeout is cancelled by name, not by an infinite time. One at an absolute time is one of time.Until(it), and a
//     time that is over is zero.
//   - Enter may not ask for Repeat, which in OTP repeats without end, and Init may not ask for Postpone, which OTP
//     ignores. What may not be asked for ends the process with actor.ErrInvalid, as bad actions do in OTP.
//   - A process asked to end ends between two events also while its queue is not empty. In OTP an exit signal ends it in
//     the middle of one, unless it traps exits.
//   - In OTP 25 a timeout that takes the place of one of zero which is still due strikes as a message of nobody's, because
//     its reference is not kept. Here it is a timeout.
//   - An Info that the Machine does not take is dropped; OTP fails for want of a function clause.
//   - There is no change of the callback module: a table of states is what it would be used for, and [ReplaceState] puts
//     another Machine in the place of the one there is. So pop_too_many of the suite of gen_statem, which takes back more
//     modules than there are, has nothing to be transferred to; the rest of its scenarios 107 to 113 are tests here. Nor is there hibernation: a machine at rest costs nothing.
package statem
