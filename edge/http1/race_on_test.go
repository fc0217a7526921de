//go:build race

package http1

// underRace: the detector's own allocations would be counted.
const underRace = true
