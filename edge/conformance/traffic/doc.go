// Package traffic makes valid HTTP/1.1 traffic and compares what two proxies make of it.
//
// The bad inputs of package conformance show what a proxy refuses. This is the other half: whatever is valid must come
// through, and come through the same. There is no list of all valid traffic, so it is generated, from a seed: methods,
// targets, fields and their whitespace, framings, chunk shapes, trailers, interim answers, pipelining, writes split
// anywhere, and ends of connections at any byte, by the client or by the backend. Each [Exchange] is played through both
// sides, each with a recorder behind it, and what client and backend saw is compared: all of it but what every proxy may
// change (see same.go).
//
// The usual other side is [Reference], the reverse proxy of the standard library. It is no oracle: where the two differ
// one has to think. An exchange is found again by its seed and number.
package traffic
