// Package arms spreads the requests of a pool over the arms of a split, and counts what became of them on each.
//
// # Problem
//
// A candidate is compared with what serves now. That is only worth something if chance, or a user's key, and nothing else
// says who gets it; if a user stays on one side; if no request fails for the sake of the comparison; and if a failure counts
// against the arm that caused it, whoever mended it.
//
// # Who gets an arm
//
// A request has a place in the range of 64 bits: the hash of its key under a salt that is the rollout's, so that another
// rollout has other users first, or without a key a random number. The candidate has the low end of the range and a fresh
// baseline the high one, each as much as its share, to 1 in 2^52. So there is no ratchet and no memory: whoever is in the
// candidate at 1 % is in it at 5 %, goes back when the share shrinks, and moves between candidate and baseline only where
// the two have more than the whole between them at different times. All edges, and all services of a rollout, agree.
//
// With the key "user" the edge gives a client without one a random number in a signed cookie, and goes by that. It does so
// too where a route keeps clients at an instance and the split has no key: chance would tear their sessions apart.
//
// # What is counted
//
// A request is assigned to one arm, and what becomes of it counts there, whichever instance it comes to:
//
//	assigned = missed + requests + gone + (cut, or refused by what is the edge's own) + still under way
//
// It counts as failed if it was answered with 500-599, by the app or by the edge in its place, if its answer broke off, or if
// any attempt at an instance of the arm ended in that way, though another attempt served the client. Otherwise the
// retries that save the clients of a bad candidate would have it promoted. A connection that had been at rest, and that its
// instance closed before a byte of the request was on it, is nobody's failure. A request that found no ready instance in its arm
// is missed there: the stable pool served it and nobody failed. So is a pool without a split counted, as its stable arm of no
// rollout: what a judge knew of a release before its trial it can know after it.
//
// Users are bits in a map of 2^22, by the hash of their keys: two with one bit are one. Of n users about n/2^23 are missed by
// that: 1.2 % of 100,000, 11 % of a million. A map has at most 512 KiB; there are two for an arm with keys, and none without.
//
// # What it does not do
//
// It has no opinion on an arm, and remembers no user. Counters of an arm that left the table are told for ten minutes more.
package arms
