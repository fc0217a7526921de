// Package streamstore is a [store.Bulk] whose truth is a JetStream stream: what queue/jetstream keeps its jobs in.
//
// # The problem
//
// A queue's transitions have conditions on many keys at once: a claim holds only while the process dispatches, while the
// queue is not paused, and while each job still waits. JetStream decides about one subject at a time, or, since 2.12, about
// batches of messages that cost a write to the disk each. What every JetStream does is to append one message, durably, if
// the stream's last sequence is the expected one. That is all this package asks for.
//
// # How it works
//
// The stream is a log of commits, and every process that uses it follows it into a state in memory: keys, their versions,
// and where their values stand. A commit is decided by that state and appended on condition that nothing was appended
// since; if something was, it is read, and the commit is decided anew. So the order of the stream is the order of the
// commits, and all processes come to the same decisions. Commits that wait at the same time go into one message: one write
// to the disk for all of them.
//
// A message carries who wrote it. An append whose answer is lost is sent again with the same expectation; if the stream
// has moved, the message that stands there says whether it was ours. So a commit is applied once, also over kill -9 of the
// server, and its caller learns of it.
//
// A read first asks the stream's leader for its last sequence and waits until that is applied. Values are read from the
// stream, but for the newest few megabytes.
//
// # Space
//
// When much of the stream is dead, what lives in its oldest messages is appended once more (a carry), on the same
// condition as a commit, and then they are purged. Revisions and versions stay as they are. A process that was behind the
// purge begins anew from the first message.
//
// # What is lost is seen
//
// Each message has a checksum, and the revision that its first commit has; sequences and revisions without a gap, and a
// carry that says up to where may be purged, are what a whole stream looks like. Anything else, and a stream that ends
// before what was acknowledged, is [semper.Tampered]: then nothing is read or written any more, because a job that is not
// there would be silence. A tail that was lost while no process lived is found by what the caller has noted elsewhere
// ([Options.AtLeast]).
//
// # What it will not do
//
// Keep semper's state: revisions rise by one and reads are linearizable as long as the server answers for its leader
// alone, which a partitioned one may fail to do for some seconds. What is decided is safe then, because appends are; what
// is looked at may be that much old. It stores no large values: a commit is one message.
package streamstore
