// Package etcd is the [queue.Engine] that is embedded: queues in semper's store, which is etcd (store/etcd), over the
// contract of [store.Bulk] alone.
//
// # What is stored
//
// Below q/<app>/<environment>/<service>/:
//
//	block/<b>     jobs that were accepted in one commit: of each what deciding needs, the request, its body
//	head/<b>      what deciding needs of the jobs of a block; written and removed with it
//	over/<b>/<n>  which jobs of a block one commit has ended
//	job/<id>      a job that came alone, or outlived its block. Written once, removed when it is over
//	run/<id>      it runs: attempt, since when, by whom, the attempts before. Its version is the lease's token
//	delay/<id>    it waits after an attempt, or was retried: the same, and when it is due
//	dead/<id>     no attempt completed it: the same, why, and the last response
//	res/<id>      it is over: how, all attempts, the response
//	index/<id>    what deciding needs of many jobs that wait; derived, see below
//	idem/<hash>   an idempotency key: the job, the request's digest, until when
//	deed/<id>     what an operator did
//	pause         who paused it. Each claim is on condition that it is absent
//	bell          what a process that is not the dispatcher has changed; see below
//
// Below qs/<app>/<environment>/<service> the dispatcher writes down the policy and the numbers, for others. By it one
// knows which queues there are.
//
// A job that is in none of run, delay, dead and res is queued. Every change is one commit with conditions on what it takes
// away, so each transition happens once, whoever tries it, and a repeated one fails on its own success. The store adds a
// checksum to each value. Bodies over [queue.Inline] are files (queue/spill), written before the record that names them.
//
// # One dispatcher
//
// One process at a time hands out a queue's jobs: it leads the role q/<service>, and its fence is a condition of every
// claim. It knows the backlog (queue/backlog: ids, keys and times, no bodies), claims up to 127 jobs in one commit, and
// watches leases by its own monotonic clock. Competing claimers would lose a third of their claims to each other.
//
// Every process may accept, complete, extend, pause and look. The dispatcher learns of its own changes from their
// commits, which are on condition of its fence. Others put what they changed under bell in the same commit; the
// dispatcher watches that one key. So nothing is watched or stored twice in the ordinary case of one edge.
//
// A dispatcher that no longer knows its backlog (a commit whose answer was lost, a watch that broke off) reads
// it again. A backlog that is wrong about a job cannot harm it: the conditions are on the store.
//
// # Blocks
//
// What the store does for a key costs as much as what it does for a kilobyte, so jobs that are accepted in one commit
// share keys, up to 32 KiB of them. They share the first half of their ids as well, which names the block: whoever has an
// id knows where the job may stand. The other half, 64 random bits, is the job's own.
//
// A block never changes. That a job of one is over is known from its result, which stays for as long as the block, and to
// a dispatcher that begins from over. Each claim is on condition that the block is there and the result is not. When all
// are over, or have moved, the dispatcher removes the block with what is told of it; when three quarters are, and none of
// the others runs, these move to records of their own, so that a job which waits for long keeps no more than itself.
//
// # The index
//
// Of jobs in blocks a dispatcher that begins reads heads. Of the others it reads the keys, which the store has in memory, and not their values. What deciding
// needs of those that have waited for a second or so it reads from pages, of thousands of jobs each, that the one before
// it wrote beside its work; of the others, which are few, from their records. A page is believed only where it says the
// version of the job's key, so a page too many, too few or too old does no harm.
//
// # Group commit
//
// Calls that change something while a commit is under way go into the next one together, as far as they do not touch
// the same keys. When the conditions of some do not hold they are told apart by one read, and the others go on.
//
// # Claimed as accepted
//
// Where somebody waits for jobs, a new one that may start at once is claimed in the commit that accepts it (seat.go): one
// wait for the disk instead of two. The backlog keeps a place for it meanwhile, so bounds hold. That the queue is not paused
// is a condition then, and when it does not hold the jobs are accepted again, to wait. A job in a lane that keeps an order
// is not claimed like this: one before it may be in another commit that is under way.
//
// # What it will not do
//
// Poll the store while nothing happens, but for processes that wait for another's dispatcher. Hold bodies of a backlog in
// memory, but for a few megabytes of those that start next. Keep queues of services that no longer exist: whoever removes a service
// drains it first.
package etcd
