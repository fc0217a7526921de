// Package handoff moves listening sockets between processes without ever closing them, so that
// while a process is replaced connections wait in the kernel's queue instead of being refused.
//
// Downwards they are inherited: the parent adds them to the child's descriptors and names them in
// SEMPER_LISTENERS ("http=3,https=4,api=5"; a name may stand there more than once). Upwards they are
// handed back: every holder offers copies on a unix socket ([Serve]), and a parent that lost its own
// because it was killed takes them from there ([Fetch]) before it binds anything. Both ways carry
// the same kernel socket, so there is exactly one accept queue however many processes hold it.
//
// A holder must not shut a socket down (shutdown(2) ends it for every holder); closing is fine.
package handoff
