// Package http3 carries HTTP/3: QUIC connections of quic-go, on the UDP side of a port whose TCP side speaks TLS.
//
// What is a request, and what becomes of one, is decided elsewhere: package stream judges it as it would one of HTTP/1.1, and
// the edge answers it. Early data is not taken: a request in it could be played again by anybody.
//
// # Upgrade
//
// Connections of TCP are the kernel's until they are accepted, and then a process's. Those of QUIC are packets, and a socket
// that two processes read gives each packet to either. So a port has [slots] sockets, bound once and passed on from process to
// process, and a small program in the kernel that says which of them gets a packet: the connection ids that a process makes
// name its slot, and what names none, a new connection, goes to the newest process. The process before reads its own slot until
// its connections have ended. Each process takes the next slot; only one that still drains when as many have followed as there
// are slots loses what it has.
//
// # Who owns what
//
// A Port owns its sockets and one quic.Transport. A Listener takes connections from it until it is closed, one at a time. The
// driver that a Listener has goes on until its last connection has ended.
package http3
