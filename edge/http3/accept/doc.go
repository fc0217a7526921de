// Package accept is the supervised part of an edge that takes connections of HTTP/3: what an edge alone and the edge of a server
// have in common there.
//
// # Invariants
//
// A part that ends has closed its listener; the next one listens at the same port by another. Connections that are there stay
// with the edge.
//
// # What it does not do
//
// It binds nothing, and does not say which process new connections go to.
package accept
