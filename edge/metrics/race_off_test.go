//go:build !race

package metrics

// raceDetector: see race_on_test.go.
const raceDetector = false
