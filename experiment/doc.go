// Package experiment says what an A/B test has shown: exposures and values in, a report with one sentence out.
//
// # Problem
//
// Two variants of an app run side by side, users fall on them by chance, and the app says what each user did. Somebody looks at that every day
// and must not be fooled: not by looking again and again, not by many metrics of which one is always remarkable, not by an unequal
// split, not by the novelty of the first day, not by a user who comes often and is counted as many, not by users who never saw anything.
//
// # Invariants
//
//   - What is compared are users, each with one number for each metric: the sum of the values, how many, or whether any. A user counts
//     from the first exposure on, under the variant of it, and values from before it do not count.
//   - Everything may be looked at all the time. Each difference has an asymptotic confidence sequence and an e-value (package verify). Over all variants
//     and metrics alpha is shared: intervals hold together, at alpha divided by their number; that anything differs at all is said by
//     the weighted mean of the e-values; and which metrics do is named by e-BH, which bounds the part of wrong names among
//     them by alpha, whatever they have to do with each other (Wang and Ramdas 2022).
//   - When users do not fall on the variants as declared nothing is concluded, for good.
//   - Nothing is concluded before the declared time, or with fewer than [verify.MinMean] users of a variant.
//   - State is bounded: [design.Plan].Users users, in [Shards] parts by their number. Who comes later is counted and left
//     out, of each variant alike, so that what is left is sound and merely smaller. Users are known by number alone.
//   - The state is a function of the entries that were applied, in their order, and to apply one again changes nothing. A value has an id, and a
//     part remembers the newest [KeptIDs] of them.
//
// # What it does not do
//
// It has no clock, no store and no goroutine, and assigns nobody. Segments are for looking: they share no alpha, and decide nothing.
package experiment
