// Package store holds what every realization of [semper.Store] shares: the limits of one commit, the
// key a leadership stands under, and the errors, so that all of them refuse the same input with the
// same words.
//
// The realizations:
//
//   - store/etcd: the real one, a client of the store process of this machine, and that process itself
//   - store/mem: in memory, for the simulator and for tests; works in a testing/synctest bubble
//   - queue/jetstream/streamstore: over a JetStream stream, for queues alone
//   - store/storetest: the contract as a test suite, which all pass
//
// store/blob is beside them and is no Store: artifacts are files named by their digest.
//
// # What the contract adds to the words of semper.Store
//
// A prefix is a plain string prefix: "environment/" and "environment/app/prod" are both good ones, ""
// is everything. Keys of leaderships are among what List and Watch give.
//
// Revisions start at 1 for an empty store and rise by one with each commit that changes something. A
// commit without writes, or one that only deletes what is not there, changes nothing and returns the
// present revision. All writes of a commit have the same Version.
//
// A key may stand at most once in Txn.Then. Conditions and writes together are at most [MaxOps],
// their keys and values together at most [MaxBytes].
//
// Watch sends one batch per commit. A commit that does not touch the prefix sends nothing. Nobody who
// reads slowly slows a commit down: what is not read yet is kept in memory.
//
// Lead with the id of the present leader takes the role over at once: one id is one owner, and its
// newer incarnation replaces the older, whose fence then never holds again. So an id must be unique
// among the processes alive, and stay the same over restarts of one: "control-1", not "control". With
// any other id Lead waits until the leader resigns, or is not heard of for its lease.
//
// A fence is the Version of the key [LeadKey](role). It is an ordinary condition, and deleting that
// key by a commit deposes the leader.
package store
