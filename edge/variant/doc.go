// Package variant tells apps which variants of experiments a request has, and remembers who was exposed to which.
//
// # Problem
//
// An experiment is only worth something if chance and nothing else says who gets which variant, if a user keeps it, and if it is
// known who really had it: users who were given a variant and never saw it hide what it does. The app must be able to believe what
// it is told, and nobody who reads a log or a store may learn from it who took part.
//
// # Who gets a variant
//
// The key of a request (a field, a cookie, a parameter, the client's network, or the number in a signed cookie) is hashed, and
// [design.Variation.Place] makes of the hash and the experiment's own secret a place among the variants and a number. So a user has
// the same variant at every edge, after every restart, and without a table of users; two experiments place users independently; and
// control, which has the secret, places a user by the same key without asking an edge. A request without the key takes no part, and
// gets no field. With the key "user" everybody has one: the cookie is that of package arms.
//
// # Exposures
//
// Exposed is who got an answer of the app with a variant. A [Log] keeps the latest 65,536 exposures until control has fetched them, and is silent about
// one that it told of within the same minute. Those that others took the place of before they were fetched are counted; their users
// are told of again a minute later if they are still there.
//
// # What it does not do
//
// It knows no values and no results, and no user but by number.
package variant
