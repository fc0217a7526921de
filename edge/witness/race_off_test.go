//go:build !race

package witness

const underRace = false
