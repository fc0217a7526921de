// Package process runs an operating system process, and everything it starts, as one unit.
//
// # The problem
//
// A supervisor has to start a program, know how it ended, and be sure that nothing of it is left
// before it starts the next copy. Three things make that hard. A program forks children that leave
// its process group and outlive it. The supervisor itself is replaced or killed while the program
// must live on, and its successor is not the parent any more. And a number as small as a pid is
// reused, so a signal meant for a dead program may reach a stranger.
//
// # How it is done
//
// A process is named by its pid together with its start time ([Identity]) and held by a pidfd, so no
// signal can reach a stranger. It leads a process group of its own, has a cgroup of its own where the
// machine allows it, and carries a marker in its environment, SEMPER_INCARNATION. When the main
// process has ended, members of the cgroup, of the group, and every process with the marker are
// killed and waited for, again until a look finds none. [Process.Exited] tells of the main
// process, [Process.Done] that nothing is left.
//
// There is no shim between the supervisor and the program. What must be set between fork and exec
// and the standard library has no word for (no_new_privs, a mount namespace, a cgroup of the first
// version) is set on an operating system thread that forks once and is then thrown away.
//
// A process never needs its starter: its output goes straight to a file, no parent-death signal is
// set, no pipe is held. [Adopt] watches one started by somebody else by its pidfd; how it ended is read from
// the zombie, or from the pidfd on Linux 6.15 and later.
//
// Who is served must not notice who starts. With [Options.Yields] a process begins under SCHED_IDLE, and its cgroup as
// cpu.idle where it has one for the processors: it runs when nobody else wants to, and whoever wakes up meanwhile takes the
// processor from it at once, which no nice value gives. Where that could not be undone (only root, CAP_SYS_NICE
// or RLIMIT_NICE may) it is not done.
//
// # Invariants
//
//   - Done is closed after Exited, both exactly once, and Reason does not change after Exited.
//   - After Done no process that could be found is left, no zombie, no descriptor, and no cgroup.
//   - A signal is sent through a pidfd, or to the group while the unreaped main process keeps
//     its number from being reused.
//   - A [Reaper] never takes the exit status of a process that Start or Adopt was given it for.
//   - A log's newest half of its bound is never given up ([LogBound]).
//
// # What it does not do
//
// It restarts nothing, checks no health and keeps no journal. It is no sandbox: a process running as
// root can leave its cgroup and clear its environment. Without a cgroup, one that left
// its group and cleared its environment as well is not found. Linux only.
package process
