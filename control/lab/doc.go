// Package lab keeps what is known of experiments: exposures and values in, stored before they are acknowledged, reports out.
//
// # Problem
//
// Values are pushed by apps that cannot wait for long, repeat what was not acknowledged, and may be cut off at any moment; control may be killed
// between any two instructions. No value may be lost that was acknowledged, and none counted twice. And a run has up to a million
// users: they cannot be written down for each value.
//
// # How
//
// What comes is an [experiment.Entry], numbered, and stored as one item; then it is acknowledged. The state is a function of the entries.
// From time to time those of its parts that have changed are stored, each with the number of the last entry in it, and when all are, the
// entries go. Whoever begins reads the parts, and applies the entries after them; one that a part has already changes nothing in it. A commit whose
// answer was lost makes the run be read anew. A value that is pushed again is known by its id.
//
// Only who leads writes: every commit has the fence of the leadership.
//
// # What it does not do
//
// It asks no edge, and moves no traffic: who runs it gives it exposures, and does what follows from a report.
package lab
