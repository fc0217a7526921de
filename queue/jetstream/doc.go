// Package jetstream is the [queue.Engine] over a NATS JetStream that is there already.
//
// # The problem
//
// Whoever runs NATS has replication, backups and people who know it, and may want the jobs there: the embedded engine is
// bound to semper's store. But JetStream as it comes acknowledges what is not on disk yet, and it hands messages out in the
// order they came: it has no pause that is a barrier for all consumers, no order per key with retries in it, no priorities
// that may change a backlog's order, no idempotency key that knows another request from the same one, and no dead letters
// that can be queued again.
//
// # What is JetStream's, and what is not
//
// JetStream keeps bytes: durable, replicated, in one order that all agree on. What is decided is decided by what
// the embedded engine has too: queue/etcd's recipe of records, one fenced dispatcher per queue and queue/backlog, whose
// commits go into one stream, package streamstore. So a job lives the same life in both, and both pass the same contract. No
// consumer is used, and nobody else may publish to the stream.
//
// # Durability is checked
//
// Before the first job, and whenever the connection was lost and is back, the engine reads the settings of the servers that
// hold the stream, from their monitoring, and those of the stream. It refuses each that would lose what was acknowledged,
// by its name, with what to write instead: see [Facts.Refusals]. A setting that cannot be read is refused as well. What no
// setting shows is max_store left to the server, which then takes three quarters of what is free: write it down.
//
// What a restart may have lost is seen: which stream it was and how far it had come is noted in a file beside the bodies. A
// stream that ends before that, or another of the same name, is refused ([semper.Tampered]).
//
// # What it will not do
//
// Configure servers. Change a stream that is there: it makes one where none is, and else says what to change. Move
// jobs from one engine to the other. Bodies over [queue.Inline] stay files of this machine.
package jetstream
