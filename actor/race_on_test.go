//go:build race

package actor

// raceDetector says that goroutines and memory cost several times what they do otherwise.
const raceDetector = true
