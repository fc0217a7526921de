package probe

import (
	"context"
	"math/rand/v2"
	"time"

	"semper/edge/balance"
)

// How soon a backend that is believed to be dead is asked for the first time, and how seldom in the end.
const (
	awaitFirst = 50 * time.Millisecond
	awaitLast  = time.Second
)

// Await asks again and again until the backend is well; false when ctx ends first. What is asked, and whom, may be another each
// time.
func Await(ctx context.Context, question func() Check, whom func() Backend) bool {
	pause := awaitFirst
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		c := question()
		if well, _ := c.Ask(ctx, whom()); well {
			return true
		}
		pause = min(pause*2, awaitLast)
		timer.Reset(pause)
	}
}

// Follow asks again and again until ctx ends, and tells when what the answers mean changes. Where nothing is to be asked any
// more it says that the backend is healthy, which was not asked, and returns.
func Follow(ctx context.Context, question func() Check, whom func() Backend, tell func(healthy, asked bool)) {
	var health balance.Health
	timer := time.NewTimer(0) // the first question at once
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		c := question()
		if c.Interval == 0 {
			tell(true, false)
			return
		}
		policy := c.Policy()
		well, known := c.Ask(ctx, whom())
		if ctx.Err() != nil {
			return
		}
		if !known { // it is this process that is not well
			timer.Reset(policy.Fast)
			continue
		}
		next, changed := policy.Next(health, well)
		if health = next; changed {
			tell(next.Healthy, true)
		}
		timer.Reset(policy.Delay(health, rand.Uint64()))
	}
}
