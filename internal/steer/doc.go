// Package steer has packets of QUIC reach the process whose connection they belong to.
//
// # Problem
//
// Connections of TCP are the kernel's until they are accepted, and then a process's. Those of QUIC are packets at one port of
// UDP, and a socket that two processes read gives each packet to either: during an upgrade both would lose connections. So a
// port has a group of [Slots] sockets (SO_REUSEPORT), bound once and passed on from process to process, each of which reads
// one of them. A small program in the kernel says which of them gets a packet: connection ids that a process makes name its
// slot ([ID]), and what names none, a new connection, goes to the process that leads ([Lead]).
//
// # Invariants
//
// Members of a group are numbered by the kernel in the order in which they were bound, and move when one leaves it. So all of
// them are bound together, and every holder holds all or none.
//
// # What it does not do
//
// It reads no packet, and does not decide who has which slot and who leads: whoever starts the processes does. The program is
// Linux's, and needs no privilege.
package steer
