// Package ledger keeps an edge's counters in a memory-mapped file, so that kill -9 of the edge loses none.
//
// A file has a header that names the process writing it, and one slot per release of an app. A slot's
// counters are 64-bit words added to atomically on the mapping itself: the kernel owns the pages, and
// writes them back whatever becomes of the process. Nothing is synced: the counters survive the
// process, not a power cut, and that is what they are for.
//
// Space is allocated on disk before it is mapped, because a store into a hole of a full disk would
// kill the edge with SIGBUS. Where there is no space, slots live in memory only and the caller is told.
//
// An [Entry] is the one way to count a request: accepted once, moved from release to release when a
// retry or a hold carries it across a cutover, ended once. So for every slot, at every instant at which
// no add is half done, Accepted = Served + AppErrors + EdgeErrors + Shed + Cut + Gone + in flight.
//
// Reading needs no help of the writer: [Read] takes the files of living and dead edges alike.
package ledger
