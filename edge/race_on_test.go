//go:build race

package edge

// underRace: the detector's own allocations would be counted.
const underRace = true
