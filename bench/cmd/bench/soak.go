package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"semper/bench/load"
	"semper/bench/rig"
)

// endure deploys, rolls back and kills under load for a long time. The edge is left alone: what it
// has in flight when it is killed is lost by design, and here every lost request is a fault.
func (b *bench) endure(ctx context.Context) error {
	began := time.Now()
	before, err := b.usage()
	if err != nil {
		return err
	}
	g := b.load(ctx, "/slow?ms=2000")
	defer g.Stop()
	counts := map[string]int{}
	at, told := "A", time.Now()
	for time.Since(began) < b.soak {
		what, next, err := b.something(ctx, g, at)
		if err != nil {
			g.Stop().Print(os.Stderr)
			return fmt.Errorf("%s, after %v: %w", what, time.Since(began).Round(time.Second), err)
		}
		counts[what]++
		at = next
		if time.Since(told) > time.Minute {
			told = time.Now()
			r := g.Report()
			say("%v: %v; %d of %d requests failed: %v", time.Since(began).Round(time.Second), counts, r.Failed, r.Requests, r.Failures)
		}
	}
	r := g.Stop()
	if err := rest(ctx, 10*time.Second); err != nil {
		return err
	}
	after, err := b.usage()
	if err != nil {
		return err
	}
	for _, k := range []rig.Kind{rig.Keeper, rig.Store, rig.Control, rig.Edge} {
		say("%s: %d MB, was %d MB", k, after[k].RSS>>20, before[k].RSS>>20)
	}
	say("%v", counts)
	r.Print(os.Stderr)
	if failed := r.Failed - r.Failures[load.Unanswered]; failed > 0 {
		return fmt.Errorf("%d of %d requests failed", failed, r.Requests)
	}
	return nil
}

// something does one random thing to the server, which is on release A or B, and says which it is on then.
func (b *bench) something(ctx context.Context, g *load.Generator, at string) (what, now string, err error) {
	other := map[string]string{"A": "B", "B": "A"}[at]
	switch n := rand.IntN(10); {
	case n < 6:
		d, err := b.underLoad(ctx, g, other, nil)
		if err == nil && d.late > 0 {
			err = fmt.Errorf("%d answers of the old release after the cutover", d.late)
		}
		return "deploy", other, err
	case n < 8:
		st, err := b.server.Status(ctx, appName)
		if err != nil || !st.Warm || string(st.Previous) != b.names[other] {
			return "look", at, err
		}
		g.Deploying(b.names[other])
		if _, err = b.server.Run(ctx, "rollback", "--app", appName, "--yes"); err == nil {
			g.Cutover(time.Now())
		}
		return "rollback", other, err
	default:
		k := []rig.Kind{rig.Instance, rig.Control, rig.Store, rig.Keeper}[rand.IntN(4)]
		return "kill " + string(k), at, b.killAndRecover(ctx, k)
	}
}
