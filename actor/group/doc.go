// Package group keeps named groups of processes, as pg of Erlang/OTP does: all the workers of a queue, everyone who
// listens to a channel, the shards of a cache.
//
// # Problem
//
// To send something to whoever is concerned, one must know who that is at the moment of sending, and the answer changes
// whenever a process starts or ends. A list that is kept by hand goes stale in both directions.
//
// # A scope
//
// [New] makes a [Scope] of groups for one type of messages, so that whatever is sent to a group is what its members take:
//
//	var workers = group.New[job]()
//
//	err := workers.Join("images", self.Ref())                                // in a callback, or by anyone
//	actor.Child("w1", newWorker, actor.Options{Name: workers.As("images")})  // before its Init
//	n, err := workers.Broadcast(ctx, "images", flush{})                      // to all
//	result, err := actor.Call(ctx, pool, ask)                                // to one: pool := workers.RoundRobin("images")
//
// A group is there while it has members. A process may be in many groups, and in one many times: then it is listed, and
// gets what is broadcast, as often. [Scope.Monitor] tells a process who joins and leaves.
//
// # Invariants
//
//   - A process that ends has left all groups before anybody is told of its end, and who monitors the group hears of the
//     leaving first.
//   - The members that a [Monitor] begins with and its Changes are exactly the membership, in order for each group.
//   - To join and to leave costs the same in a group of two and of a million; so does a [Choice].
//   - Nothing is left of a group without members and monitors, nor of a process in no group.
//   - No callback runs while a lock of the scope is held. A scope has no goroutine.
//
// # Deviations from pg
//
//   - A scope is a value, typed by its messages, not a process that could crash and forget all memberships. There is no
//     default scope.
//   - It knows the processes of this program only. So get_local_members is get_members, which is [Scope.Members], and
//     which_local_groups is which_groups, which is [Scope.Groups].
//   - Joining is done when Join returns, also for those who look from elsewhere, and leaving by an end when the end is
//     told; pg is eventually consistent, across nodes and with the ends of processes.
//   - The names of groups are strings.
//   - A [Change] concerns one process. Join and Leave of several processes at once give one for each of them, where pg sends
//     one with a list.
//   - Stop of a monitor does not take news out of the mailbox; each says which monitor it is of.
//   - Joining somebody who has ended is ErrNoProc; pg lets it join, and leave at once.
//   - Broadcast, RoundRobin and Random are not in pg, which leaves them to its users.
//
// # What it will not do
//
// It does not balance by load: a member that is busy is chosen all the same. It does not say whether a message that was
// taken is handled; ask by a call. It gives no member a role: for one of a group that leads, a unique key of package
// registry does.
package group
