// Package observer shows what runs: the whole tree below a supervisor, one process of it, and every crash, in the
// program itself and to semper over a socket.
//
// # Problem
//
// A program of supervised processes repairs itself, and so hides what goes wrong in it: a worker that crashes every
// minute is up whenever somebody looks. Whoever runs the program wants the tree as it is now, with the restarts of each
// part and the reason of the last one, the length of each mailbox, and a report of each crash; and wants them from
// outside, without having thought of it when the program was written, at no cost while nobody looks.
//
//	s, err := observer.Run(ctx, flags, specs) // instead of supervise.Start
//
// is all that a program has to do. Where semper started it, its tree is then part of semper's.
//
// # The tree
//
// [Tree] walks from a supervisor down to processes, nested supervisors of all kinds and other children, and makes a
// [Node] of each. It takes no lock for longer than one supervisor or one process needs to copy its own numbers, and waits
// for nobody: a tree in which everything is stuck is shown as one. It is no snapshot of a moment; a child that is
// restarted during the walk is seen before or after. At most 1,000 children of one supervisor and 10,000 nodes are
// listed, those in trouble first when some must be left out; [Node.More] counts the others. [Print] draws it.
//
// [Process] tells of one process what is known, its state too, as the Redactor of its Server shows it. For the state
// it waits until the process comes out of its callback.
//
// # Protocol
//
// The environment variable SEMPER_TREE ([Env]) holds the path of a unix stream socket on which semper listens. The
// program dials it. Both speak JSON, one object a line, each line at most 1 MiB with its newline. This is version 1.
//
// The program speaks first, and says who it is. pid is that of its OS process, for people: semper knows whom it talks
// to from the socket.
//
//	{"v":1,"hello":{"pid":4711,"program":"shop"}}
//
// semper asks when it likes. Answers carry the id of the question and may come in any order. The tree is a Node:
//
//	{"id":7,"want":"tree"}
//	{"id":7,"tree":{"id":"shop","kind":"supervisor","state":"running","strategy":"one_for_one","intensity":3,
//	  "period":5000000000,"window":1,"children":[{"id":"cart","kind":"actor","label":"cart","pid":"<17>",
//	  "state":"running","since":"2026-11-21T05:06:04Z","restarts":1,"ends":1,"last":"crash: panic: boom",
//	  "mailbox":3,"messages":812,"status":"busy"}]}}
//
// Durations are in nanoseconds, times as in RFC 3339. What is zero or empty is left out, and what is left out is zero
// or empty. A process is asked for by its pid; the answer is a [ProcessInfo], or an error:
//
//	{"id":8,"want":"process","pid":"<17>"}
//	{"id":8,"process":{"pid":"<17>","label":"cart","path":"shop/cart","status":"busy",...,"state":"&{items:[...]}"}}
//	{"id":9,"want":"process","pid":"<18>"}
//	{"id":9,"error":"no process <18> in the tree: ..."}
//
// The program tells of crashes unasked, each a [Crash]. Processes report theirs by themselves; where a supervisor has
// other children, its Observe does, with [Services], and then there is no pid:
//
//	{"crash":{"at":"2026-11-21T05:06:04Z","pid":"<17>","label":"cart","path":"shop/cart","reason":"crash: panic: boom",
//	  "last_message":"{add 3}","state":"&{...}","mailbox":3,"messages":812,"uptime_ns":61000000000,"stack":"..."}}
//
// A want that the program does not know gets {"id":10,"error":"unknown want"}. Keys that a side does not know are
// ignored, so that either may be newer; v grows only when an older side would misunderstand, and then semper refuses.
// Whoever gets a line that is too long, or is not such an object, closes the connection. The program dials again, after
// 100 ms and then ever later, up to 30 s; it keeps the crashes of the meantime, up to [Options].Queue, and counts in
// [Crash].Dropped those that it could not keep.
//
// # Invariants
//
//   - Nothing here ends a process, changes one, or lets one wait: a Reporter queues or drops.
//   - What a program holds for semper is bounded, whether semper is there, slow, or not.
//   - What semper holds for a program is bounded, whatever the program sends: one line, decoded, of limited depth and
//     number of objects; and so is the time it spends on it, by a limit of bytes a second. A call to a program ends with
//     its context.
//   - Texts are cut, and a tree that does not fit into a line loses the leaves that are in no trouble before any that are.
//   - Every goroutine belongs to the Serve or the Conn that started it, which waits for it.
//
// # What it will not do
//
// It does not trace messages, keep history, or change anything. It does not authenticate: who may connect to the socket
// is for the rights of its file, and which OS process it is for semper to ask the kernel. It shows what states and
// messages contain; what must not be seen is for [actor.Redactor] to hide.
//
// # Deviations from OTP
//
//   - OTP's observer can ask any process for its dictionary, its heap and a trace. A goroutine has nothing of that to show.
//   - OTP's observer sees processes that no supervisor knows. Here they are seen only as links of others.
//   - What it shows is asked for by who looks, over a socket that the program dials; OTP's is a node that connects to it.
package observer
