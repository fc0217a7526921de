// Package wire is what a keeper and its clients say to each other: JSON over HTTP on a unix socket
// that only the keeper's own user, and root, may use. It holds both ends, so that neither can change
// without the other: the values, the client, and what a server needs to answer it.
package wire
