//go:build race

package sticky

// raceEnabled: the race detector allocates where the program does not.
const raceEnabled = true
