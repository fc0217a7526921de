// Package server runs connections with a goroutine for each. It carries everything a client of HTTP/1.1 may do, over
// plaintext and TLS, and takes what package loop gives away.
//
// # Problem
//
// A driver of the edge must answer alike whatever comes, in whatever pieces it comes, and must not be held up by whoever
// sends or takes nothing. What is ordinary should cost little: no allocation, no second goroutine, one write each way.
// What is unusual should be complete: a handler of net/http must not be able to tell this server from net/http's.
//
// # Two ways of a request
//
//	          ┌▶ Forward: flow ── upstream.Conn ──▶ the session's target      the ordinary way
//	head ─▶ Begin
//	          └▶ Pass: passage ── writer, content ──▶ Options.Handler         everything else
//
// A request on the ordinary way that waited, or failed at a target, may be passed then, and so may one of another driver: its
// front.Handover has what was read of it, and its content goes on from there.
//
// Both begin with the same head, parsed by package http1. On the ordinary way the forwarded head and the content at hand
// go out in one write, and the response's head comes back with its first content in one. Content that is not at hand is
// sent by an upload, a goroutine that lives as long as it takes, because the response may come before the request has
// ended. On the other way net/http's values are made from the parsed head, and its ResponseWriter frames what a
// handler writes.
//
// # Who owns what
//
// A connection's goroutine owns it: it reads, decides and writes. Two others may take a part for a while. An upload, or a
// handler's own goroutine in a content's Read, is then the reader. And the janitor, one goroutine of the server, looks
// whether clients of requests under way have reset their connections, and does what Sweep and Cut ask. It never does
// anything in an owner's place: it marks the connection, and wakes its owner, wherever that is blocked; the owner finds
// the mark and acts. A deadline that passes without reason is such a waking.
//
// The mutex of a connection guards its marks, and is held during each call of its Session: so whoever asks something about
// a session asks between two calls of it. A shard's mutex is taken before a connection's, never after it.
//
// # Idle connections
//
// Buffers, heads and exchanges belong to requests, not to connections, and are taken from pools when the first byte of a
// request is there. A connection that has been idle for some seconds gives its goroutine away as well, which with its stack
// is most of what is left: it is parked, watched by one epoll instance together with all others, until it has something to
// say or has been idle for too long.
//
// # Half-closed clients
//
// The end of what a client sends is no reason to end what it is sent: it is answered. A client is gone when its
// connection is reset.
package server
