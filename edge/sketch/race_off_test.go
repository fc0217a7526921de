//go:build !race

package sketch

// raceDetector: see race_on_test.go.
const raceDetector = false
