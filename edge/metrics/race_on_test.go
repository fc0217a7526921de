//go:build race

package metrics

// raceDetector says that allocations are not what they are without it.
const raceDetector = true
