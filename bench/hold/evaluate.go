package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// fate is how a request ended that was not served as it should.
func (c *client) fate() string {
	what := [...]string{"prompt", "slow head", "slow body", "slow reader"}[c.manner()]
	if c.err != nil {
		return fmt.Sprintf("%s: %v", what, errors.Unwrap(c.err))
	}
	return fmt.Sprintf("%s: %d %s %s", what, c.status, c.word, c.release)
}

// tell makes figures of how everybody has gone on since the hold ended.
func (t *trial) tell(f *figures, released time.Time) {
	var waits []time.Duration
	f.Losses = map[string]int{}
	for _, c := range slices.Concat(t.clients, t.late) {
		if c.err != nil || c.status != 200 || c.release != "r2" {
			f.Lost++
			f.Losses[c.fate()]++
			continue
		}
		f.Served++
		waits = append(waits, c.answered.Sub(later(released, c.asked)))
	}
	if len(waits) == 0 {
		return
	}
	slices.Sort(waits)
	at := func(p float64) float64 { return waits[int(p*float64(len(waits)-1))].Seconds() }
	f.P50, f.P99, f.Longest = at(.5), at(.99), at(1)
	came := slices.DeleteFunc(t.instance.came(), func(a arrival) bool { return a.client >= 2*t.n }) // late ones go at a rising pace
	f.Peak = peak(came) * 10 / float64(t.rate)
	f.Overtaken = t.overtaken(came)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// peak is the most arrivals in any tenth of a second.
func peak(all []arrival) float64 {
	times := make([]time.Time, len(all))
	for i, a := range all {
		times[i] = a.at
	}
	slices.SortFunc(times, time.Time.Compare)
	most, from := 0, 0
	for i, at := range times {
		for at.Sub(times[from]) >= time.Second/10 {
			from++
		}
		most = max(most, i-from+1)
	}
	return float64(most)
}

// overtaken is the most places that a client has come to the instance later than the order of groups, within its class, lets
// it expect. Who came at the same time has no order.
func (t *trial) overtaken(came []arrival) (most int) {
	classes := make([][]int, len(paths))
	for _, a := range came {
		c := client{number: a.client}
		i := slices.Index(paths[:], c.path())
		classes[i] = append(classes[i], t.groupOf(a.client))
	}
	for _, groups := range classes {
		latest := make(map[int]int, 50) // by group: the place that its last should have at most
		sorted := slices.Sorted(slices.Values(groups))
		for i, g := range sorted {
			latest[g] = i
		}
		for i, g := range groups {
			most = max(most, i-latest[g])
		}
	}
	return most
}

// groupOf is with whom a client came: those who took the place of somebody came last, together.
func (t *trial) groupOf(number int) int {
	if number >= t.n {
		return t.n
	}
	return number / t.group
}
