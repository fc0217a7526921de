// Package ask asks an instance something once: whether it takes a connection, what it answers to a request, how a command beside it
// ends. What the answer means is decided elsewhere. It keeps nothing and starts nothing that outlives a call.
package ask
