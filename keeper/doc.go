// Package keeper is the root process of a machine: it owns the listening sockets and the operating
// system processes of one semper.
package keeper
