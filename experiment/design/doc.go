// Package design has the nouns of experiments: what is compared, for whom and by what; which variant a user gets; and who was exposed
// to one. They are what a store, a route table and the socket of an edge carry, for control, which reports, and the edge, which assigns.
//
// Invariants: the same user has the same variant for as long as a run lasts, and users of two runs are placed independently. An
// exposure tells nobody without the run's key whose it is.
//
// It decides nothing and does no input or output: package experiment judges, edge/variant assigns, control/lab keeps.
package design
