//go:build race

package alone

// underRace: the detector's own allocations would be counted.
const underRace = true
