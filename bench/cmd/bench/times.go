package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"semper/api"
	"semper/bench/rig"
)

// rollback measures the way back while the old release is warm.
func rollback(ctx context.Context, b *bench) ([]figure, error) {
	const command = "make bench ARGS='-only rollback'"
	var wall, inside []time.Duration
	for range max(b.samples/2, 10) {
		if err := b.deploy(ctx, "B"); err != nil {
			return nil, err
		}
		if _, err := b.server.Until(ctx, appName, 30*time.Second, func(st api.Status) bool { return st.Warm }); err != nil {
			return nil, err
		}
		began := time.Now()
		if _, err := b.server.Run(ctx, "rollback", "--app", appName, "--yes"); err != nil {
			return nil, err
		}
		done := time.Now()
		st, err := b.server.Status(ctx, appName)
		if err != nil {
			return nil, err
		}
		if string(st.Release) != b.names["A"] || st.Rollout == nil {
			return nil, fmt.Errorf("after a rollback to %s production is on %s", b.names["A"], st.Release)
		}
		wall = append(wall, done.Sub(began))
		at, ok := turnedBack(st)
		if !ok {
			return nil, fmt.Errorf("a rollback without an acknowledged epoch: %+v", st.Rollout)
		}
		inside = append(inside, at.Sub(began))
	}
	m := median(inside)
	return []figure{
		{Claim: fmt.Sprintf("rollback while warm, command given to epoch acknowledged, median of %d", len(wall)), Target: "≤ 50 ms",
			Measured: fmt.Sprintf("%s (worst %s)", milliseconds(m), milliseconds(slices.Max(inside))), Verdict: holds(m <= 50*time.Millisecond), Command: command},
		{Claim: "the same, until the command has returned", Target: "–",
			Measured: fmt.Sprintf("%s (worst %s)", milliseconds(median(wall)), milliseconds(slices.Max(wall))), Command: command},
	}, nil
}

// turnedBack is when the newest rollout ended on the old release, acknowledged, whichever way it took.
func turnedBack(st api.Status) (time.Time, bool) {
	for _, step := range st.Rollout.Steps {
		if step.State == "rolled-back" || st.Rollout.Kind == "rollback" && step.State.Live() {
			return step.At, true
		}
	}
	return time.Time{}, false
}

// overhead measures what a deploy of a new artifact takes beside the app's own start.
func overhead(ctx context.Context, b *bench) ([]figure, error) {
	var boots, took []time.Duration
	for range b.samples {
		d, err := boot(b.apps["A"])
		if err != nil {
			return nil, err
		}
		boots = append(boots, d)
	}
	own := median(boots)
	for i := range b.samples {
		// Each is an artifact the server has never seen.
		if err := writeNote(b.apps["B"], fmt.Sprint("overhead ", i, time.Now())); err != nil {
			return nil, err
		}
		d, err := b.server.Deploy(ctx, b.apps["B"])
		if err != nil {
			return nil, err
		}
		took = append(took, d-own)
	}
	if err := writeNote(b.apps["B"], "B"); err != nil {
		return nil, err
	}
	if err := b.deploy(ctx, "A"); err != nil {
		return nil, err
	}
	m := median(took)
	return []figure{{Claim: fmt.Sprintf("deploy of a new %d MB artifact less the app's own boot (%s), median of %d", artifactSize>>20, milliseconds(own), len(took)),
		Target: "≤ 400 ms", Measured: fmt.Sprintf("%s (worst %s)", milliseconds(m), milliseconds(slices.Max(took))), Verdict: holds(m <= 400*time.Millisecond),
		Command: "make bench ARGS='-only overhead'", Detail: took}}, nil
}

// idle measures what semper uses while nothing happens.
func idle(ctx context.Context, b *bench) ([]figure, error) {
	const window = 30 * time.Second
	if _, err := b.server.Until(ctx, appName, time.Minute, func(st api.Status) bool { return readyInstances(st) == 3 }); err != nil {
		return nil, err
	}
	if err := rest(ctx, 10*time.Second); err != nil {
		return nil, err
	}
	before, err := b.usage()
	if err != nil {
		return nil, err
	}
	if err := rest(ctx, window); err != nil {
		return nil, err
	}
	after, err := b.usage()
	if err != nil {
		return nil, err
	}
	var total rig.Usage
	var words, busy []string
	all := 0.0
	for _, k := range []rig.Kind{rig.Keeper, rig.Store, rig.Control, rig.Edge} {
		u, was := after[k], before[k]
		share := 100 * float64(u.CPU-was.CPU) / float64(window)
		all += share
		total.RSS += u.RSS
		total.PSS += u.PSS
		words = append(words, fmt.Sprintf("%s %d", k, u.RSS>>20))
		busy = append(busy, fmt.Sprintf("%s %.2f", k, share))
	}
	const command = "make bench ARGS='-only idle'"
	return []figure{
		{Claim: "resident memory of all of semper, idle", Target: "≤ 180 MB",
			Measured: fmt.Sprintf("%d MB (%s; %d MB with shared pages counted once)", total.RSS>>20, strings.Join(words, ", "), total.PSS>>20),
			Verdict:  holds(total.RSS <= 180<<20), Command: command},
		{Claim: fmt.Sprintf("CPU of all of semper over %v, idle", window), Target: "≤ 1 %",
			Measured: fmt.Sprintf("%.2f %% of one of %d cores (%s)", all, runtime.NumCPU(), strings.Join(busy, ", ")), Verdict: holds(all <= 1), Command: command},
	}, nil
}

// usage by kind; two of a kind are added up.
func (b *bench) usage() (map[rig.Kind]rig.Usage, error) {
	all, err := b.server.Processes()
	if err != nil {
		return nil, err
	}
	by := map[rig.Kind]rig.Usage{}
	for _, p := range all {
		u, err := rig.UsageOf(p.PID)
		if err != nil {
			return nil, err
		}
		sum := by[p.Kind]
		by[p.Kind] = rig.Usage{RSS: sum.RSS + u.RSS, PSS: sum.PSS + u.PSS, CPU: sum.CPU + u.CPU}
	}
	return by, nil
}
