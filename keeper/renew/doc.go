// Package renew is how a process goes on as a newer binary: a copy that nobody replaces while it runs,
// a look whether it runs at all, and exec in place with the descriptors that must stay open.
package renew
