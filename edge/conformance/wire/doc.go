// Package wire reads HTTP/1.1 messages as the grammar of RFC 9110 and 9112 has them, and nothing else.
//
// It is the judge of the conformance suite: what a proxy sends to an instance or to a client is a message only if
// this package says so. For that it is slow, plain and unforgiving. Every "MAY be lenient" of the RFCs is answered
// with no: a bare LF, a space before a colon, two lengths, a folded line, a fragment in a target are errors.
// It shares no code with edge/http1 and none with net/http, so a fault there is not a fault here.
//
// A message is read whole into memory; that suits tests and nothing else. Readers are for one goroutine.
package wire
