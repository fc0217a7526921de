package main

import (
	"context"
	"fmt"
	"time"

	"semper"
	"semper/api"
	"semper/bench/load"
)

// deploys moves production back and forth between two releases under load. Each deploy starts three
// new instances, because the release before is not kept warm.
func deploys(ctx context.Context, b *bench) ([]figure, error) {
	const command = "make bench ARGS='-only deploys'"
	g := b.load(ctx, "/halves?ms=2000")
	defer g.Stop()
	g.Enter("warming up")
	if err := rest(ctx, 5*time.Second); err != nil {
		return nil, err
	}
	g.Enter("quiet")
	if err := rest(ctx, b.quiet); err != nil {
		return nil, err
	}
	before := g.Report()
	late, took := 0, []time.Duration(nil)
	for i := range b.deploys {
		name := []string{"C", "D"}[i%2]
		g.Enter("deploying")
		d, n, err := b.underLoad(ctx, g, name)
		if err != nil {
			return nil, fmt.Errorf("deploy %d: %w", i+1, err)
		}
		g.Enter("between")
		if err := rest(ctx, b.gap); err != nil {
			return nil, err
		}
		late += n
		took = append(took, d)
		if (i+1)%10 == 0 {
			say("  %d deploys, %d failed requests", i+1, g.Report().Failed)
		}
	}
	g.Enter("after")
	if err := rest(ctx, 8*time.Second); err != nil { // WebSockets of the last release reach their drain deadline
		return nil, err
	}
	r := g.Stop()
	st, err := b.server.Status(ctx, appName)
	if err != nil {
		return nil, err
	}
	if err := b.deploy(ctx, "A"); err != nil {
		return nil, err
	}
	quiet, during := before.Sections["quiet"], r.Sections["deploying"]
	ratio := during.P99 / quiet.P99
	return []figure{
		{Claim: fmt.Sprintf("failed requests in %d deploys back and forth under load", b.deploys), Target: "0",
			Measured: fmt.Sprintf("%d of %d (%d WebSocket messages, %d hand-overs)", r.Failed, r.Requests, r.Sockets.Messages, r.Sockets.HandedOver),
			Verdict:  holds(r.Failed == 0), Command: command, Detail: r},
		{Claim: "responses not entirely from one release", Target: "0",
			Measured: fmt.Sprint(r.Failures[load.Mixed]), Verdict: holds(r.Failures[load.Mixed] == 0), Command: command},
		{Claim: "answers of the old release to requests sent after the acknowledged cutover", Target: "0",
			Measured: fmt.Sprint(r.Failures[load.OldRelease]), Verdict: holds(late == 0 && r.Failures[load.OldRelease] == 0), Command: command},
		{Claim: "p99 during deploys / p99 without", Target: "≤ 1.5",
			Measured: fmt.Sprintf("%.2f (%.2f ms / %.2f ms at %.0f/s)", ratio, during.P99, quiet.P99, quiet.Rate),
			Verdict:  holds(ratio <= 1.5), Command: command},
		{Claim: "one deploy under that load, command to cutover", Target: "–",
			Measured: fmt.Sprintf("median %s", milliseconds(median(took))), Command: command},
		{Claim: "the ledger agrees: edge errors, shed, cut of HTTP requests", Target: "0",
			Measured: ledgerWords(st.Ledger), Verdict: holds(clean(st.Ledger)), Command: command, Detail: st.Ledger},
	}, nil
}

// underLoad deploys a release and tells the load when the cutover was acknowledged. It returns
// how long the command took and how many answers of the old release came too late.
func (b *bench) underLoad(ctx context.Context, g *load.Generator, name string) (time.Duration, int, error) {
	g.Deploying(b.names[name])
	took, err := b.server.Deploy(ctx, b.apps[name])
	if err != nil {
		return took, 0, err
	}
	st, err := b.server.Status(ctx, appName)
	if err != nil {
		return took, 0, err
	}
	at, ok := acknowledged(st)
	if !ok || string(st.Release) != b.names[name] {
		return took, 0, fmt.Errorf("deploy says done, but production is on %s and rollout %+v", st.Release, st.Rollout)
	}
	return took, g.Cutover(at), nil
}

// acknowledged is when the newest rollout's cutover had been acknowledged by every edge: it enters
// the first of the states that come after.
func acknowledged(st api.Status) (time.Time, bool) {
	if st.Rollout == nil {
		return time.Time{}, false
	}
	for _, step := range st.Rollout.Steps {
		if step.State.Live() {
			return step.At, true
		}
	}
	return time.Time{}, false
}

// clean reports whether nothing was lost by the edge. WebSockets closed at their drain deadline are
// counted as cut, so that count is not part of it.
func clean(l map[semper.ReleaseName]semper.Ledger) bool {
	for _, c := range l {
		if c.EdgeErrors+c.Shed > 0 {
			return false
		}
	}
	return true
}

func ledgerWords(l map[semper.ReleaseName]semper.Ledger) string {
	var sum semper.Ledger
	for _, c := range l {
		sum = sum.Add(c)
	}
	return fmt.Sprintf("%d edge errors, %d shed; %d accepted, %d served, %d retried, %d WebSockets closed at their drain deadline",
		sum.EdgeErrors, sum.Shed, sum.Accepted, sum.Served, sum.Retried, sum.Cut)
}
