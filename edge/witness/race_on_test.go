//go:build race

package witness

// underRace: the detector's own allocations would be counted.
const underRace = true
