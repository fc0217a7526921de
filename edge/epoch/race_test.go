//go:build race

package epoch

// raceEnabled: the race detector allocates, and makes everything ten times slower.
const raceEnabled = true
