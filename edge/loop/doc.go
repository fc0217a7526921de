// Package loop runs connections without goroutines: a few loops over epoll, one for each processor, which carry the
// ordinary request of plaintext HTTP/1.1 and give everything else away.
//
// # Problem
//
// Of what a proxy spends on a small request, nine parts of ten are the kernel's, for two messages in and two out. What is
// left to save is what stands between these four calls: goroutines that are woken, reads that find nothing, memory that is
// touched for the first time, and answers sent in two pieces. A loop makes four calls for a request and shares a fifth, the
// wait, with all that came at the same time. It reads into one buffer, which stays in the cache, and writes from another.
//
// # What it carries
//
// A request whose head is whole and ordinary (see http1.Unusual) and whose Session says Forward, to a target at an IP
// address or a Unix socket, with or without content, framed by a length or in chunks. A connection with any other request
// is given to Options.Pass with all that was read of that request, and is gone from here: that other way is complete. So is one
// whose request waited, or failed at a target, when its Session says Pass then: the front.Handover has what was read of it.
//
// # How
//
// Each loop is one goroutine, which lets Go's scheduler in every few milliseconds before it would come by itself. It owns its connections, its idle connections to targets, and its
// timers; nothing in it is locked. What other goroutines want of it, they put into its inbox.
//
//	          ┌ wait for events ─ expire timers ─ do what is in the inbox ┐
//	          └──────────────▲────────────────────────────────────────────┘
//	conn      a client's connection: idle, reading a head, in a flow, or lingering until the client has read its last answer
//	flow      one request on its way: conn ↔ up; taken from a free list when a head is whole, given back when it has ended
//	fold      what is left of a flow while its request waits and its Session keeps the rest; the flow carries others meanwhile
//	sub       a request of the edge's own, beside the clients': begun when the events in hand have been answered
//	up        a connection to a target: being made, in a flow or a sub, or idle
//
// Every descriptor is watched for both directions, edge-triggered, from its first moment to its last, so that no call ever
// changes what is watched. Hence each endpoint notes what it knows (readable, writable), reads until it is told that there
// is no more, and stops reading when the other side does not take what was read: the kernel's buffers then fill, and the
// sender waits. An event names a slot and its generation: one for a descriptor that was closed a moment ago in the same
// batch says nothing to whoever has its number now.
//
// Long content of a known length that goes as it came is not read at all: splice(2) moves the kernel's own pages from one socket to the
// other, through a pipe that each loop has for it, and that is empty whenever another flow begins.
//
// What comes without end, in either direction, lets the others in after a megabyte, and goes on in the next batch.
//
// # Invariants
//
//   - No call blocks but the wait.
//   - An up is idle only when both of its messages have ended exactly, nothing more has come, and the target wants to go on.
//   - Until the first byte of a response, the head and the content sent so far are at hand in the flow, as far as they fit
//     Exchange.Keep: that is what another attempt is made of.
//   - A request that is folded has nothing on its way, and goes on with the content that had come and the ticket that it had.
//   - End is called once for each Begin that was not passed on.
//   - What a client sent behind its request stays unread, or in conn.in, until that request has ended.
//
// # What it does not do
//
// TLS, HTTP/2, changes of protocol, expectations, targets with names: these are passed on. It does not
// decide anything about a request.
package loop
