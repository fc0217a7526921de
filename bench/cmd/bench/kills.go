package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"semper"
	"semper/api"
	"semper/bench/load"
	"semper/bench/rig"
)

// kills ends each part with SIGKILL, again and again, under load.
func kills(ctx context.Context, b *bench) ([]figure, error) {
	var all []figure
	for _, k := range []rig.Kind{rig.Instance, rig.Control, rig.Store, rig.Keeper, rig.Edge} {
		f, err := b.killOne(ctx, k)
		all = append(all, f...)
		if err != nil {
			return all, fmt.Errorf("kill %s: %w", k, err)
		}
	}
	return all, nil
}

func (b *bench) killOne(ctx context.Context, k rig.Kind) ([]figure, error) {
	command := "make bench ARGS='-only kills'"
	g := b.load(ctx, "/slow?ms=2000")
	defer g.Stop()
	if err := rest(ctx, 2500*time.Millisecond); err != nil { // until a slow request is always in hand
		return nil, err
	}
	gap := 300 * time.Millisecond
	if k == rig.Instance {
		// A request of two seconds can only be served if some instance lives that long.
		gap = 2500 * time.Millisecond
	}
	for range b.kills {
		if err := b.killAndRecover(ctx, k); err != nil {
			return nil, err
		}
		if err := rest(ctx, gap); err != nil {
			return nil, err
		}
	}
	r := g.Stop()
	say("  %s: %d of %d failed; websockets %+v", k, r.Failed, r.Requests, r.Sockets)
	if k != rig.Edge {
		for _, s := range r.Samples {
			say("    %s", s)
		}
	}
	failed := r.Failed - r.Failures[load.Unanswered]
	if k == rig.Edge {
		// A kept connection has at most one request in hand, as a slow one and a WebSocket have.
		inFlight := uint64(b.kills) * (64 + 8 + 20 + 20)
		return []figure{
			{Claim: fmt.Sprintf("connections refused when the edge is killed (%d times)", b.kills), Target: "0",
				Measured: fmt.Sprint(r.Failures[load.Refused]), Verdict: holds(r.Failures[load.Refused] == 0), Command: command},
			{Claim: "requests lost with the edge", Target: "at most those in flight",
				Measured: fmt.Sprintf("%d in %d kills (in flight: at most %d) of %d", r.Failed, b.kills, inFlight, r.Requests),
				Verdict:  holds(r.Failed <= inFlight && r.Failures[load.Refused]+r.Failures[load.Status] == 0), Command: command, Detail: r},
		}, nil
	}
	words := fmt.Sprintf("%d of %d", failed, r.Requests)
	if n := r.Failures[load.Unanswered]; n > 0 {
		words += fmt.Sprintf(" (and %d WebSocket messages in the hands of the killed instance)", n)
	}
	verdict := failed == 0
	if k != rig.Instance {
		verdict = r.Failed == 0
	}
	return []figure{{Claim: fmt.Sprintf("failed requests when %s is killed (%d times)", article(k), b.kills), Target: "0",
		Measured: words, Verdict: holds(verdict), Command: command, Detail: r}}, nil
}

func article(k rig.Kind) string {
	if k == rig.Instance {
		return "an instance"
	}
	return string(k)
}

// killAndRecover kills one process of kind k and returns when the server is whole again.
func (b *bench) killAndRecover(ctx context.Context, k rig.Kind) error {
	before, err := b.server.Processes()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(before, func(p rig.Process) bool { return p.Kind == k })
	if i < 0 {
		return fmt.Errorf("no %s runs", k)
	}
	if _, err := rig.Kill(before[i].PID); err != nil {
		return err
	}
	if k == rig.Keeper {
		<-b.server.Ended()
		if err := b.server.Start(ctx); err != nil {
			return err
		}
		if err := b.adopted(before); err != nil {
			return err
		}
	}
	_, err = b.server.Until(ctx, appName, 30*time.Second, func(st api.Status) bool {
		return readyInstances(st) == 3 && len(st.Edges) == 1 && b.replaced(k, before[i].PID)
	})
	return err
}

// replaced reports whether a process of kind k other than old runs.
func (b *bench) replaced(k rig.Kind, old int) bool {
	now, err := b.server.Processes()
	return err == nil && slices.ContainsFunc(now, func(p rig.Process) bool { return p.Kind == k && p.PID != old })
}

// adopted checks that everything but the keeper still is the same process, and that there is no double.
func (b *bench) adopted(before []rig.Process) error {
	now, err := b.server.Processes()
	if err != nil {
		return err
	}
	for _, p := range now {
		if p.Kind != rig.Keeper && !slices.Contains(before, p) {
			return fmt.Errorf("after the keeper's death there is a new process %+v", p)
		}
	}
	for _, p := range before {
		if p.Kind != rig.Keeper && !slices.Contains(now, p) {
			return fmt.Errorf("after the keeper's death %+v is gone", p)
		}
	}
	return nil
}

// readyInstances of the release in production.
func readyInstances(st api.Status) int {
	n := 0
	for _, i := range st.Instances {
		if i.Release == st.Release && i.Role == "current" && i.State == semper.Ready {
			n++
		}
	}
	return n
}

// alive reports whether every instance in the status is the process it says.
func (b *bench) alive(st api.Status) bool {
	return !slices.ContainsFunc(st.Instances, func(i api.Instance) bool {
		return i.Role == "current" && !b.server.Runs(i.PID, string(i.ID))
	})
}

// restart measures how long after an instance's death its replacement's process has started.
func restart(ctx context.Context, b *bench) ([]figure, error) {
	var took []time.Duration
	for range b.samples {
		st, err := b.server.Until(ctx, appName, 30*time.Second, func(st api.Status) bool { return readyInstances(st) == 3 && b.alive(st) })
		if err != nil {
			return nil, err
		}
		victim := st.Instances[slices.IndexFunc(st.Instances, func(i api.Instance) bool { return i.Role == "current" })]
		w, err := b.server.Watch()
		if err != nil {
			return nil, err
		}
		at, err := rig.Kill(victim.PID)
		if err != nil {
			return nil, err
		}
		seen, err := w.Replacement(string(victim.ID), 10*time.Second)
		if err != nil {
			return nil, err
		}
		took = append(took, seen.Sub(at))
	}
	m := median(took)
	return []figure{{Claim: fmt.Sprintf("instance death to replacement process started, median of %d", len(took)), Target: "≤ 10 ms",
		Measured: fmt.Sprintf("%s (worst %s)", milliseconds(m), milliseconds(slices.Max(took))), Verdict: holds(m <= 10*time.Millisecond),
		Command: "make bench ARGS='-only restart'", Detail: took}}, nil
}

// reboot kills everything at once, as a power cut does, and starts again.
func reboot(ctx context.Context, b *bench) ([]figure, error) {
	if _, err := b.server.Run(ctx, "scale", "--app", appName, "web=4"); err != nil {
		return nil, err
	}
	want, err := b.server.Until(ctx, appName, 30*time.Second, func(st api.Status) bool { return readyInstances(st) == 4 })
	if err != nil {
		return nil, err
	}
	if err := b.server.KillAll(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := b.server.Start(ctx); err != nil {
		return nil, err
	}
	up := time.Since(began)
	got, err := b.server.Until(ctx, appName, time.Minute, func(st api.Status) bool { return readyInstances(st) == 4 })
	if err != nil {
		return nil, err
	}
	ready := time.Since(began)
	c, err := b.answers(ctx)
	if err != nil {
		return nil, err
	}
	same := got.Release == want.Release && fmt.Sprint(got.Scale) == fmt.Sprint(want.Scale) && fmt.Sprint(got.Routes) == fmt.Sprint(want.Routes) && c == string(want.Release)
	return []figure{{Claim: "reboot (everything killed at once, started again): release, scale and routes", Target: "the same",
		Measured: fmt.Sprintf("%s, %v, %v; server up after %s, all instances ready after %s", got.Release, got.Scale, got.Routes, milliseconds(up), milliseconds(ready)),
		Verdict:  holds(same), Command: "make bench ARGS='-only reboot'"}}, nil
}

// answers is the release that answers one request now.
func (b *bench) answers(ctx context.Context) (string, error) {
	g := load.Start(ctx, load.Config{Address: b.server.HTTP, KeepAlive: 1})
	if err := rest(ctx, 200*time.Millisecond); err != nil {
		return "", err
	}
	r := g.Stop()
	if r.Failed > 0 || len(r.Releases) != 1 {
		return "", fmt.Errorf("after the reboot %d of %d requests failed, answered by %v: %v", r.Failed, r.Requests, r.Releases, r.Samples)
	}
	for release := range r.Releases {
		return release, nil
	}
	return "", syscall.ENOENT
}
