//go:build race

package upstream

// underRace: the detector's own allocations would be counted.
const underRace = true
