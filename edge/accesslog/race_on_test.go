//go:build race

package accesslog

// raceDetector says that allocations are not what they are without it.
const raceDetector = true
