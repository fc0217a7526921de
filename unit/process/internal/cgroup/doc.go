// Package cgroup gives a process a cgroup of its own, in both versions and in a mix of them: a set of
// directories below those of the calling process, which hold it, limit it, count what it uses, and
// end it with everything it started.
//
// In the second version one tree has all controllers, and the kernel places a child in it at the
// fork. A cgroup there that passes controllers on may hold no process, so semper moves itself to a leaf
// beside its instances; it does so only when it is alone in its cgroup. In the first version every controller
// may have a tree of its own, and a child can only inherit its place from the thread that forks it, which
// joins before and leaves after.
//
// Whatever this machine lacks or forbids leaves a [Group] that does less, and a sentence about it where a limit
// was asked for. Only cgroups made here are ever killed or removed.
package cgroup
