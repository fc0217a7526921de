package api

import (
	"cmp"
	"maps"
	"slices"

	"semper/edge/mirror/told"
	"semper/verify/diff"
)

// A JudgedShadow is what copies of requests have shown.
type JudgedShadow struct {
	told.Counts
	Places []JudgedPlace `json:"places"` // by the order in which they came
}

// A JudgedPlace is where answers differ, with masked examples.
type JudgedPlace struct {
	diff.Tally
	Status diff.Status `json:"status"`
}

// statuses are in the order of how much they say against a candidate.
var statuses = []diff.Status{diff.Different, diff.Novel, diff.Unknown, diff.Noisy}

// Ranked are the places as a person wants them: those that say most against the candidate first, and of these those seen most often.
func (s *JudgedShadow) Ranked() []JudgedPlace {
	all := slices.Clone(s.Places)
	slices.SortStableFunc(all, func(a, b JudgedPlace) int {
		return cmp.Or(slices.Index(statuses, a.Status)-slices.Index(statuses, b.Status), cmp.Compare(b.Seen, a.Seen))
	})
	return all
}

// A LeftOut is how many sampled requests were not compared for one reason.
type LeftOut struct {
	Reason string
	N      uint64
}

// LeftOut are the sampled requests that are no pair: first those that were skipped for what they are, then those that were dropped.
func (s *JudgedShadow) LeftOut() (all []LeftOut) {
	for _, by := range []map[string]uint64{s.Skipped, s.Dropped} {
		for _, reason := range slices.Sorted(maps.Keys(by)) {
			all = append(all, LeftOut{Reason: reason, N: by[reason]})
		}
	}
	return all
}
