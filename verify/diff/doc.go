// Package diff compares the responses of two releases to one request, and says where they differ in a way that can be counted.
//
// # Problem
//
// A shadow gets copies of live requests. That its responses differ from those of the release in production means little by itself:
// clocks, random identifiers, the order of sets and caches make two copies of the same release differ as well. And one
// real change differs in each response at another place: in items[0] here and items[7] there. To count differences
// one needs places that are the same for all responses; to keep them apart from noise one needs a second copy of the release in
// production to compare with; and to let through what was meant to change one needs to declare it.
//
// # Places
//
// A response is compared by status, by the fields that are named, and by its body: JSON by value, HTML by structure, Protocol
// Buffers by descriptor, everything else by its bytes. A [Difference] is at a [Path], whose steps are the keys of objects, [*] for
// the elements of an array, and {*} for the keys of an object that are data and not names: more than 50 of them, or such that look
// like identifiers. Beside the path it has a [Kind].
//
// # What was meant
//
// A [Rule] says that a difference at a path, of a kind, with values that satisfy what it asks for, is expected or to be ignored. Rules
// count what they match: one that has never matched is stale, and told as such, since what was declared did not come.
//
// # Secrets
//
// Values are shown as examples. What is under a name that is known for secrets or personal data, and what looks like
// such data wherever it stands, is masked in the moment a difference is made: nothing else ever leaves this package.
//
// # What it does not do
//
// It does not know what noise is: package verify says so, from the counts of both pairs. It sends nothing and stores nothing. It
// never fails because of a body: what is no JSON is compared as bytes, and that one of both is none is a difference.
package diff
