//go:build !race

package judging_test

// underRace says whether the race detector is on, and everything ten times as slow.
const underRace = false
