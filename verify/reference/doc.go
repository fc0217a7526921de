// Package reference has the methods that others judge by: those whose numbers were published with their implementations, to
// check arithmetic against, and those that a judge is compared with. Package verify uses none of them.
//
// The boundaries and mixtures are those of Howard, Ramdas, McAuliffe and Sekhon (Annals of Statistics 49, 2021) and Howard and Ramdas
// (Bernoulli 28, 2022): s is a sum that should be 0, v its intrinsic time, a mixture the logarithm of a supermartingale, and a bound
// where that reaches log(1/alpha). They hold at all times at once. [MannWhitney] and [ChiSquare] hold at one time that was fixed before.
package reference
