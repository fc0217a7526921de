//go:build race

package balance

// raceEnabled: the race detector allocates, and makes everything ten times slower.
const raceEnabled = true
