// Package h3 is a client of HTTP/3 that can send any request, and tells what came back: the conformance suite's.
//
// # Problem
//
// Clients of HTTP/3 send what is right. Here fields go out as they are given, without a look at them, and frames in any order.
//
// # What it does not do
//
// It opens no window late and loses no packet: QUIC below is quic-go's, and what is malformed there is not tried.
package h3
