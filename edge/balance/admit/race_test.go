//go:build race

package admit

// raceEnabled: the race detector allocates, and makes everything ten times slower.
const raceEnabled = true
