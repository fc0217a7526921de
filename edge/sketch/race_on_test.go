//go:build race

package sketch

// raceDetector says that allocations are not what they are without it.
const raceDetector = true
