// Package e2e runs the real binary on loopback and breaks it: real processes, sockets and disks, one
// test per promise a user reads in the README. It holds tests only.
package e2e
