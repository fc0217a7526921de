//go:build race

package verify

// underRace says that the race detector is on, and everything ten times as slow.
const underRace = true
