// Package upstream is the edge's client side: connections to one incarnation of an instance, and requests over them.
//
// A Pool keeps the connections. There are two ways to use it. Get hands out a Conn, to which the driver of a plain
// request writes a head that package http1 has generated, and from which it reads the response in place: such an
// exchange allocates nothing. RoundTrip makes the same exchange of net/http's values, for everything unusual: content
// that streams both ways, trailers, a change of protocol, an instance that speaks HTTP/2.
//
// Nothing here sends a request twice. An error says what whoever decides about that has to know: see Unsent and
// StaleReuse.
package upstream
