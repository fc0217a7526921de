//go:build !race

package trace

// raceDetector: see race_on_test.go.
const raceDetector = false
