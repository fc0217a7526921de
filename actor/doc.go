// Package actor gives Go programs processes in the sense of Erlang/OTP: state with a mailbox that nobody else touches,
// that can end without taking anything with it, and whose end others are told of. It imports nothing but the standard
// library, package supervise, which restarts what ends, and package telemetry, which tells who wants to know.
//
// # Problem
//
// A Go program that serves many at once keeps state that many goroutines want. Locks make that safe, and leave open what
// an OTP program has answers to: what is left of the state when a goroutine panics in the middle of a change; who
// notices that the goroutine that owned a connection is gone; who still waits for its answer; how the next one gets its
// name; how one looks at the state of a program that hangs. A goroutine has no name, no end that can be seen and no
// mailbox, and its panic ends the program.
//
// A process has all of these. Its state is reached by messages alone, one at a time, so it needs no lock. When it
// crashes, its state is gone with it, which is the point: a supervisor starts a new one from a state that is known to be
// good. Whoever waited for it is told.
//
// # A process
//
// A [Server] is what a process does with its messages, and [Start] makes a process of one. All messages of a process
// have one type M, most often a sealed interface with a struct for each kind:
//
//	type message interface{ isMessage() }
//	type add struct{ n int }                  // a cast
//	type total struct{ from actor.From[int] } // a call
//
//	func (c *counter) Handle(self *actor.Self[message], m message) error {
//		switch m := m.(type) {
//		case add:
//			c.n += m.n
//		case total:
//			m.from.Reply(c.n)
//		}
//		return nil
//	}
//
// Further callbacks are optional, each an interface of its own: [Initer], [Informed], [Continuer], [Terminator],
// [Redactor]. They run one at a time. The first argument is the [Self]: the process as it sees itself, and the context
// of all it does.
//
// Start returns when Init has, so that whatever starts next may rely on it. Work that may come later is put off by
// [Self.Continue]: it is done before the first message. A [Ref] is the address of the process for those who know the
// type of its messages, a [PID] for all others.
//
// # Messages and replies
//
// [Ref.Cast] sends a message and forgets it. [Call] sends one with a [From] in it and waits for the reply. The From may
// be answered in the handler, after it, by another goroutine, or handed on to another process. How long to wait is said
// by the caller's context and by nothing else. A call has exactly one outcome: the reply, an error of the server, an
// [*ExitError] when the process ends before it answers, or the cause of the context. After that the From is closed, and
// a late reply vanishes: it cannot be taken for the answer to another call.
//
// What comes besides messages is an Info: [Down], [Exit], [Timeout], or what a library sends by [PID.Inform]. Messages
// and Infos of one sender arrive in the order in which they were sent; between two senders there is no order. [Self.After]
// is a message to oneself in a while, [Self.Timeout] says when nothing has come for long.
//
// # Ends, and who is told
//
// A process ends when a callback returns an error or panics. [Stop] is the error for an end on purpose; its [Reason] is
// what others see. Anything else is a Crash. It also ends for an exit signal, which comes from [PID.Exit], from its
// supervisor, or over a link. In all these cases [Terminator] cleans up, and a crash of its own is reported. Reports go
// to log/slog, or to the [Reporter] of the context.
//
// Two processes are linked by [Self.Link], or by [Options].Link from the start: the end of one is an exit signal for
// the other. A Normal one has no effect, any other ends the other as well, unless that traps exits: then it gets an
// [Exit], and goes on. A process with Options.Link has a parent: its exit ends also a child that traps, after what was
// sent before. A link is for two that make no sense without each other. To be told without being tied is a monitor:
// [Self.Monitor] gives one [Down], and each monitor its own.
//
// [PID.Kill] ends a process at once. Go cannot stop the goroutine of a callback that runs, so it is disowned: its
// context ends, its replies and the messages to it go nowhere, its name is free, and its successor may start. What it
// casts to others still arrives. Until it returns, its status is [StatusAbandoned] and its supervisor lists it. To be
// able to kill for certain, run the work as an OS process.
//
// # Mailboxes
//
// A mailbox has no limit unless [Options].Mailbox sets one, and then says what happens to one message more: [Reject] it,
// [DropNewest], [DropOldest], or [Wait]. Senders that wait are served in the order they came. Infos always fit: that a
// process is told of ends does not depend on how busy it is. [PID.Info] has the numbers.
//
// # Names and supervision
//
// A Ref is one incarnation. What is restarted is found by a [Name], which is a [Target] like a Ref: calls and casts go to
// the incarnation of the moment. A name belongs to one living process at most. [Child] makes the spec of a supervised
// process; package actor/registry has names made at run time.
//
//	var orders = actor.NewName[message]("orders")
//
//	supervise.Start(ctx, supervise.Flags{Intensity: 3}, []supervise.ChildSpec{
//		actor.Child("orders", newOrders, actor.Options{Name: orders}),
//	}, supervise.Options{})
//
// # Looking inside
//
// [PID.Info] tells of any process at any time, also of one that hangs. [PID.State] looks at its Server between two
// callbacks, [PID.ReplaceState] puts another in its place, [PID.Suspend] holds it still. [HandOver] takes the state of a
// whole tree to the next version of the program. A [Redactor] keeps secrets out of what is shown.
//
// # Inside
//
// A process has a goroutine only while it has something to do: the send that finds it at rest starts one, which handles
// all there is and ends. At rest it is a few hundred bytes, so a million of them is no matter, and as there is no pool,
// callbacks that block keep nobody else from running.
//
// The mailbox is a list of segments under a mutex. The goroutine takes a whole segment and handles it without the lock,
// so that senders and handler seldom meet, and a backlog is never copied. What cannot wait for its turn, an exit signal,
// a kill, a control, sets the alarm: one atomic flag, looked at before each message. A call costs one small object; the
// channel on which its caller waits is used again by the next.
//
// An end has two steps. First the process takes nothing more and gives its names back. Then everybody is told: callers,
// linked processes, monitors, Done. A link is an entry on both sides, made and cut under both locks, and the exit signal
// is delivered together with the removal of the entry: that is why no signal comes after Unlink.
//
// There is no global state but a counter for numbers, so that processes work in a bubble of testing/synctest. A process
// belongs to the bubble it was started in.
//
// # Invariants
//
//   - Callbacks of one process never run at the same time, and what one has written the next one sees.
//   - A panic, or runtime.Goexit, in a callback ends one process and nothing else, wherever it is: also in Terminate, in a
//     Redactor, in a Reporter. What the Go runtime calls fatal (a concurrent map write, memory, the stack) ends the program.
//   - P5: a monitor gives exactly one Down, and none once Demonitor has returned true. A link gives at most one exit
//     signal, and none after Unlink has returned, save one that is in the mailbox already.
//   - P6: names are free before any Down, Exit or ExitError can be seen, and before Done is closed.
//   - P9: a call has exactly one outcome, and nothing comes after it. From.Reply returns true if and only if its value
//     is that outcome.
//   - After a Kill no other callback is begun, Terminate included, and none can make links, monitors or names.
//   - A start that returned an error leaves no process, no name and no link behind; save a callback that does not return.
//   - The cost of a message depends neither on how many processes there are nor on how much waits for others.
//   - A process at rest has no goroutine. A goroutine that runs one is waited for by Gone.
//
// The tests check them, by these numbers where they have one.
//
// # Deviations from OTP
//
//   - A process that is killed while a callback runs is disowned, and is abandoned until the callback returns, as Go
//     cannot stop a goroutine. In OTP nothing of it is left.
//   - A call waits as long as its context says. OTP has a default of 5 s, after which the caller crashes; here it gets an
//     error. A call under a context that is over is not sent.
//   - Self-calls are found by the context: a callback that calls its own process with the context it was given gets
//     ErrCallingSelf. With a context.Background in its place it waits for itself, for ever. A process that waits for room
//     in its own full mailbox is found the same way, by CastContext.
//   - Terminate runs after every end but a kill. In OTP a process that does not trap exits has no terminate when it is told
//     to end. There is no reason for that but the price of trapping, which Go does not pay.
//   - An exit signal ends a process between two callbacks, not in the middle of one. Its context ends at once, and whoever
//     heeds it returns early. The context of one that traps exits ends with the process, as the signal is a message.
//   - A process that ends for an exit signal reports no crash of its own, also when it traps and the exit is that of its
//     parent: the one that crashed has reported. A PID.Exit with Normal has no effect on the process that calls it either.
//   - An Exit that PID.Exit caused has no From: a function call does not know who calls.
//   - Controls (state, suspend, resume) overtake the messages that wait. In OTP they are messages. One wants to see the
//     state of a process with a backlog at once, and to hold it before it goes on.
//   - There is no selective receive. A Server that must wait for one thing is a state machine: package actor/statem
//     postpones. So the cost of a call does not depend on the caller's mailbox, which in OTP takes a trick of the compiler.
//   - Mailboxes can be bounded.
//   - Messages are not copied. What is sent must not be changed afterwards, or must be safe for both.
//   - Messages have a type, and there is one for each process. What is of no type of ours comes as an Info. A message that
//     a Server does not know does not compile, or is its own default case.
//   - Init that returns an error ends the process for that reason without a report, as stop does in OTP; ErrIgnore ends it
//     Normal. The parent is not told by an exit signal, as it has the error.
//   - The restart of a Server is a new value from a function. One that is kept from one incarnation to the next would
//     bring back what it crashed of.
//   - Hibernation is the rule, not an option: a process at rest has no stack, and gives the memory of a burst back.
//   - Hot code loading is [HandOver]: state moves to a new program. appup, relup and code_change in place have no meaning
//     for a compiled one. Of scenario 98 (missing callbacks) that leaves the optional ones; the others do not compile.
//   - There are no nodes: no remote PIDs, no abcast or multicall, and no noconnection.
//
// # What it will not do
//
// It will not make one goroutine out of many callbacks, and it will not stop one that does not return. It will not
// persist messages or send them again: what is in the mailbox of a process that ends is lost, and its callers know. It
// will not balance load: that is a matter of package actor/group, or of how many processes there are. It is no wrapper
// around channels: where a pipeline or a mutex is all that is needed, a pipeline or a mutex is better.
package actor
