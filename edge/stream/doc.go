// Package stream makes requests of HTTP/2 and HTTP/3 what they would be in HTTP/1.1.
//
// # Problem
//
// The libraries that speak those protocols hand out net/http's values, and are of many minds about what a request is. The edge
// has one: package http1. And a client of theirs need not take what it is sent: one that opens no window holds a handler for
// ever, and no deadline of the connection sees it.
//
// # Solution
//
// Each request is written down as it would stand in HTTP/1.1 and parsed; what does not parse is refused with what HTTP/1.1 would
// be refused with. Each write is timed, from its own beginning: a stream may be silent for as long as its rule lets it.
//
// A WebSocket begins with CONNECT here (RFC 8441, RFC 9220). The handler sees the GET with Upgrade that it would have been,
// and answers it by message.Switch; what it gets then is a [Conn], the stream as a connection.
package stream
