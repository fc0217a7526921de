// Package http3 carries HTTP/3: QUIC connections of quic-go, on the UDP side of a port whose TCP side speaks TLS.
//
// What is a request, and what becomes of one, is decided elsewhere: package stream judges it as it would one of HTTP/1.1, and
// the edge answers it. Early data is not taken: a request in it could be played again by anybody.
//
// # Upgrade
//
// A port is a group of sockets, bound once and passed on from process to process, of which each process reads the one of its
// slot; package steer tells how packets find theirs. The process before reads its own until its connections have ended. Only
// one that still drains when as many have followed as there are slots loses what it has.
//
// # Who owns what
//
// A Port owns its sockets and one quic.Transport. A Listener takes connections from it until it is closed, one at a time. The
// driver that a Listener has goes on until its last connection has ended.
package http3
