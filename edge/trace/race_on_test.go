//go:build race

package trace

// raceDetector says that allocations are not what they are without it.
const raceDetector = true
