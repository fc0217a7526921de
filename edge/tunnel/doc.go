// Package tunnel joins a client and a backend after a change of protocol, until one of them has enough or the edge wants
// an end.
//
// Of a WebSocket it follows the frames of both ways, so that it can end it as the protocol wants: with Close frames, in a
// moment in which no message is half sent or waits for its answer. Many tunnels that have to end at one instant are ended
// one by one before it, so that their clients do not come back all at once.
//
// # What an idle tunnel costs
//
// Most WebSockets say nothing most of the time, and there may be very many. So a way has a goroutine only while something
// comes. A buffer is held while there is something in it. A write that the target does not take keeps the goroutine, and
// the source is not read meanwhile: so whoever sends too much is held up by whoever takes too little.
//
// Of a connection that is nothing but a socket, the socket is all that is kept (park.Socket): a net.Conn, its addresses,
// and what the runtime's poller has for it are more than all the rest of a tunnel, which is less than a kilobyte. When
// little comes at a time, the lot's goroutine passes it on by itself.
//
// What is wrapped, in TLS above all, stays as it is. Its way keeps its goroutine, and a small buffer, for a moment in which
// nothing comes, and is parked (park.Lot.Park) when a read has timed out. By that TLS has no whole record, and the socket
// had nothing; what comes later, epoll tells of.
//
// # Who owns what
//
// A way belongs to its goroutine. The tunnel's mutex guards what both ways, the farewell and the alarm look at; no I/O is
// done with it held but the setting of deadlines. That of Tunnels, that of their alarms, those of sockets and that of the
// lot are taken within it, in this order, or alone. The last who leaves, of both ways and the alarms to come, tells the
// owner of the end. Tunnels.Close waits for that.
package tunnel
