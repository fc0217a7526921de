// Package etcd is the [semper.Store] semper runs on: an etcd server embedded in a process of its own
// ([Serve]) and a client of it over a unix socket ([Open]).
//
// # Durability
//
// A commit is acknowledged when its record is in etcd's write-ahead log and the log is synced, by a
// quorum once there is more than one member. kill -9 at any moment, and a power loss on a disk
// that does what it is told, lose nothing acknowledged. A record torn by either at the end of the log
// was not acknowledged and is dropped at the next start; damage anywhere else in the log refuses
// to start. Pages of etcd's database have no checksum, so every value carries its own: see below.
//
// # Values
//
// Keys stand under /semper/v1/. A value is an envelope: the schema of the envelope, a token of the
// commit that wrote it, a SHA-256 of these, the key and the body, and the body. It is checked at every
// read. What does not fit is [semper.ErrCorrupt], naming the key; it is never returned, shortened or skipped. A
// newer schema is an error that says so.
//
// # When the server is away
//
// Calls wait for it up to [Options.Patience] and are then Unavailable. Reads are simply repeated. A
// commit is sent again only when that cannot apply it twice: when the connection never stood, or
// when one of its conditions is on a key it writes, so that its own success makes a second one
// fail; the token then tells its own success from a stranger's. Any other commit whose answer was
// lost is Unavailable with words that say that it may have been applied.
//
// A Watch survives the server's restart without loss: it goes on behind the last batch it delivered. It is
// closed when that is no longer possible, because the server has compacted the history away (which it keeps
// for five minutes), because the server has no leader, or because a value is damaged. As long as the server
// is away it is silent, and closed by nothing but its context.
//
// A leadership is a key on a lease of [Options.Lease], renewed three times in that time. A restart of
// the server within it changes nothing. Done is closed at the latest when the lease can have expired.
//
// # The server
//
// One member, listening on its unix socket (mode 0600) and nowhere else. A second server on the same
// directory is refused.
//
// When less than [Floor] is free on its file system, it accepts no more puts (NoSpace) until there is again; deletes
// and reads go on. It keeps a file of [Ballast] bytes there only to give it up in that moment, so that the log
// can still be written. If the disk fills up faster than that, the log cannot be written and the process ends, as etcd
// does; its supervisor starts it again with back-off, and it comes up, refusing puts, as soon as the
// ballast or somebody makes room. Nothing acknowledged is lost by either.
//
// What it will not do: listen for peers. A fleet's second member makes this one advertise a real
// address; until then there is none to protect.
package etcd
