// Package http1 is a strict HTTP/1.1 engine without I/O: functions from bytes to messages and back.
//
// # Problem
//
// A proxy reads a message and writes one. When the two ends of it disagree on where a message ends, or on what it asks
// for, whoever sends it can hide a request in another's: request smuggling. Nearly all of it has one cause: a proxy
// that reads one thing and forwards another, because it repaired what it read, or copied bytes it did not understand.
// And whatever a proxy does here it does for every request, so it must cost next to nothing.
//
// # One decision
//
// [Request.Parse] and [Response.Parse] decide once how a message is framed, which host and path it is for, and what of
// it is for this connection only. [AppendRequest] and [AppendResponse] generate what is forwarded from that decision.
// Host, Content-Length, Transfer-Encoding, Connection, Upgrade and TE are never copied: they are dropped and written
// anew. [Body] finds the end of the content by the same decision, and what of it goes further is framed anew too.
//
// These hold for every input:
//
//   - What does not follow the grammar of RFC 9110 and 9112 is refused, not repaired. A refusal is an [Error] that
//     carries its status; the connection ends after it.
//   - What is forwarded reads, here and by any strict reader, as exactly one message: the one that was read.
//   - An outcome does not depend on the pieces the bytes came in. The first byte at fault decides, and a byte is looked
//     at a bounded number of times.
//   - A message ends at one byte. What follows is not touched.
//   - Nothing is unbounded: see [Limits].
//   - Nothing panics.
//
// The leniencies are few, and each is one of framing-neutral words: one empty line before a request (RFC 9112, 2.2); a
// status line without the space before an empty reason; bytes in paths and queries that browsers do not encode (see
// class.go); Connection options that are no tokens, which name nothing.
//
// # A driver's use
//
// One Request, Response and two Bodies per exchange, reused by Reset. Bytes are read to the end of a buffer, and Parse
// is given all of it until it returns a length:
//
//	n, err := r.Parse(buf, &http1.Default)     // 0 and nil: read more
//	path := r.CanonicalPath(scratch)           // for routes and for the instance: the same
//	out = http1.AppendRequest(out, &r, &http1.Forward{Path: path, ClientIP: ip, Proto: "https"})
//	body.ResetRequest(&r, &http1.Default)
//	piece, m, done, err := body.Next(buf[n:])  // until done
//
// The slices that a message hands out are parts of the buffer Parse was given. If the head moves, Rebase says where to.
// What [Unusual] names is for a driver that has the time; nothing in it is unsafe to forward.
//
// # Speed
//
// An ordinary exchange of two heads of eight fields is read and written in about 0.7 µs on the machine of the design, without an
// allocation. Bytes are classed by a table; values are passed over eight bytes at a time; names are found by their
// length and two of their bytes, and compared as words. Fields are offsets. What is kept is copied in runs. Trailers
// and IPv6 hosts allocate; hardly anybody sends them.
//
// # What it does not do
//
// It does not open tunnels (CONNECT is refused), speak HTTP/2, answer 100-continue, wait, retry, or count. It does not
// decompress, merge or fold fields, or know what a field's value means beyond what frames and forwards a message. Whom
// to trust, and where a request goes, it is told.
package http1
