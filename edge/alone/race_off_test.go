//go:build !race

package alone

const underRace = false
