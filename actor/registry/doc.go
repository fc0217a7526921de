// Package registry finds processes by key, as Elixir's Registry does: a chat room by its name, everyone who subscribed to
// a topic, the worker of a customer.
//
// # Problem
//
// An [actor.Name] is for the processes that a program knows when it is written. Those that come and go with the data,
// one for each room or device, need a table from key to process, and such a table is easy to get wrong: an entry that
// outlives its process sends messages nowhere, one that is taken out too late keeps a restarted process from its own
// name, and one that is taken out too early lets two processes believe that they are the only one.
//
// # A registry
//
// [New] makes a [Registry] of unique or duplicate keys. A process registers itself, in its callbacks or as the name of
// its start:
//
//	var rooms = registry.New[string, int](registry.Options{})
//
//	err := rooms.Register(self, "lobby", 1)                                // in a callback
//	actor.Start(ctx, server, actor.Options{Name: rooms.As("lobby", 1)})    // before its Init
//	n, err := actor.Call(ctx, registry.Ref[message](rooms, "lobby"), ask)  // by anyone
//
// Each entry carries a value, which others read and only its process changes. [Registry.Lookup], [Registry.Find] and
// [Registry.Whereis] go from key to process, [Registry.Keys] and [Registry.Values] from process to keys;
// [Registry.Match] and [Registry.Select] choose by predicate. [Registry.Dispatch] hands the entries of a key to a
// function: with duplicate keys that is publishing. [Registry.Lock] lets those who are to do something about a key do it
// one after the other.
//
// # Invariants
//
//   - A unique key leads to one living process at most. That of a process that has ended is taken over at once.
//   - The entries of a process are gone before anybody is told of its end, by a monitor, a link, Done or its supervisor:
//     who hears of the end can use the key, and a restarted process finds its own free.
//   - Only the process itself makes entries, so that none is made for a process that has not asked, and none can race
//     with its end.
//   - A process without entries and locks is not known to the registry: nothing grows by those who come and go.
//   - The cost of each operation does not depend on how many entries there are, but for those that return them all.
//     Taking out the entries of a process costs time in proportion to these.
//   - No function of a user is called while a lock of the registry is held. A registry has no goroutine.
//   - Locks are taken in the order they were asked for.
//
// # Inside
//
// A partition has two tables, each under a lock of its own: from key to entries, and from key to the queue of its lock.
// Beside them stands the table from process to what it has. An entry is in the ring of its key and in the list of its
// process, so that it is taken out of both in constant time. What a process has is one of the names of the process: its
// end gives these back first of all.
//
// # Deviations from Elixir's Registry
//
//   - A registry is a value, not a supervised tree: it has no process that could crash and take the registered ones with
//     it, and no name.
//   - The entries of a process go with its end, not some time after. That scenario 123 (the cleaning is delayed) can
//     still happen is because the end itself takes time, and it ends as in Elixir: the dead one is evicted.
//   - Register does not link. What the link is for, to be told of the end, is part of the end; scenario 129 (links and
//     unlinks) is about the registry knowing the process, and the process the registry, only as long as there is an entry.
//   - Patterns and guards are predicates over values and entries.
//   - Listeners are functions, not named processes, and are added by Listen: they are typed. There is one event for each
//     entry taken back, with its value, and none when there was nothing to take back; Elixir sends one for each call of
//     unregister.
//   - Keys are compared with ==. So 1 and 1.0 are two keys of Registry[any, V], as with ===. A key that does not equal
//     itself (NaN), or that cannot be compared, is refused.
//   - What raises in Elixir is an error here: ErrInvalid for a duplicate registry as a name or in UpdateValue.
//   - [Registry.Lock] ends its waiting with the context, and refuses a lock to the process that holds it; Elixir would wait
//     for ever. A killed holder's lock is free although a callback of it may go on: a goroutine cannot be stopped.
//   - The keys of metadata are strings. No key is reserved.
//   - Under unique keys update_value may be called by several goroutines of the process: then its function may be called
//     again.
//
// # What it will not do
//
// It does not register one process on behalf of another: ask the process to. It does not start what it does not find:
// that is for a supervisor, with the key as the name, where of two starts one gets ErrAlreadyStarted and the PID of the
// other. It knows the processes of this program only. It does not order what different processes do: two listeners may
// hear of two processes in different orders.
package registry
