// Package trees hears from the programs that a keeper runs what runs inside them: their supervision trees when it asks,
// the crashes of their actors when they happen. The programs connect to a unix stream socket and speak the protocol of
// actor/observer.
//
// Nobody is believed to be somebody: the kernel says which process connects, and the keeper which of its members that
// is. Who is none is turned away. What a program may cost is bounded: so many connections, so many bytes a second on
// each, so many crash reports a minute ([Budget]), and for a tree a moment that is the same for all programs together.
// A program that does not answer in time is shown as it last was, and said to be stale.
//
// A connection ends with its incarnation, with [Hub.Close], and with an exec of the keeper: programs connect again by
// themselves.
package trees
