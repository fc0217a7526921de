// Package sockets gets a keeper the sockets it listens on: those it already holds or can take back
// from a living part first, and only what is then still missing is bound.
//
// The order matters. A socket bound beside one that a living edge still holds would split arriving
// connections between two queues, one of which nobody serves.
package sockets
