//go:build race

package route

// raceEnabled: the race detector allocates where the program does not.
const raceEnabled = true
