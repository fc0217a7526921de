package main

import (
	"context"
	"fmt"
	"time"

	"semper"
	"semper/api"
	"semper/bench/load"
	"semper/bench/rig"
)

// deploys moves production back and forth between two releases under load. Each deploy starts three
// new instances: the release before is promoted away, so that the next deploy of it is not one table back.
func deploys(ctx context.Context, b *bench) ([]figure, error) {
	const command = "make bench ARGS='-only deploys'"
	was, err := b.server.Status(ctx, appName)
	if err != nil {
		return nil, err
	}
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
	all, err := b.backAndForth(ctx, g)
	if err != nil {
		return nil, err
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
	counted := less(total(st.Ledger), total(was.Ledger))
	closed := r.Sockets.HandedOver + r.Sockets.Resent
	lost := int64(counted.EdgeErrors+counted.Shed+counted.Cut) - int64(closed)
	quiet, during := before.Sections["quiet"], r.Sections["deploying"]
	ratio := during.P99 / quiet.P99
	return []figure{
		{Claim: fmt.Sprintf("failed requests in %d deploys back and forth under load", b.deploys), Target: "0",
			Measured: fmt.Sprintf("%d of %d (%d WebSocket messages, %d hand-overs)", r.Failed, r.Requests, r.Sockets.Messages, r.Sockets.HandedOver),
			Verdict:  holds(r.Failed == 0), Command: command, Detail: r},
		{Claim: "responses not entirely from one release", Target: "0",
			Measured: fmt.Sprint(r.Failures[load.Mixed]), Verdict: holds(r.Failures[load.Mixed] == 0), Command: command},
		{Claim: "answers of the old release to requests sent after the acknowledged cutover", Target: "0",
			Measured: fmt.Sprint(r.Failures[load.OldRelease]), Verdict: holds(all.late == 0 && r.Failures[load.OldRelease] == 0), Command: command},
		{Claim: "p99 during deploys / p99 without", Target: "≤ 1.5",
			Measured: fmt.Sprintf("%.2f (%.2f ms / %.2f ms at %.0f/s)", ratio, during.P99, quiet.P99, quiet.Rate),
			Verdict:  holds(ratio <= 1.5), Command: command},
		{Claim: "one deploy under that load, command to cutover", Target: "–",
			Measured: fmt.Sprintf("median %s; %d instances started", milliseconds(median(all.took)), len(all.started)), Command: command},
		{Claim: "processor time of one deploy under that load, command to cutover, of all but those who serve", Target: "–",
			Measured: all.cost.per(b.deploys), Command: command, Detail: all.cost.each(b.deploys)},
		{Claim: "the ledger agrees: edge errors, shed and cut, less the WebSockets closed at their drain deadline", Target: "0",
			Measured: fmt.Sprintf("%d; %d accepted, %d served, %d retried, %d WebSockets closed", lost, counted.Accepted, counted.Served, counted.Retried, closed),
			Verdict:  holds(lost == 0), Command: command, Detail: counted},
	}, nil
}

// A series is what came of some deploys under load.
type series struct {
	took    []time.Duration // of each
	late    int             // answers of an old release after its acknowledged cutover
	started map[int]bool    // processes that have been in production
	cost    bill            // from commands to cutovers, of those who serve no requests
}

func (b *bench) backAndForth(ctx context.Context, g *load.Generator) (series, error) {
	s := series{started: map[int]bool{}, cost: bill{}}
	m, err := b.meter(rig.Keeper, rig.Store, rig.Control)
	if err != nil {
		return s, err
	}
	for i := range b.deploys {
		if _, _, err := m.read(); err != nil {
			return s, err
		}
		d, err := b.underLoad(ctx, g, []string{"B", "A"}[i%2], m)
		if err == nil {
			err = b.fresh(ctx, s.started)
		}
		if err != nil {
			return s, fmt.Errorf("deploy %d: %w", i+1, err)
		}
		if err := rest(ctx, b.gap); err != nil {
			return s, err
		}
		s.late += d.late
		s.took = append(s.took, d.took)
		s.cost.add(d.cost)
		if (i+1)%10 == 0 {
			say("  %d deploys, %d failed requests", i+1, g.Report().Failed)
		}
	}
	return s, nil
}

// fresh checks that the instances in production are processes never seen before, and retires the
// release that is warm.
func (b *bench) fresh(ctx context.Context, started map[int]bool) error {
	st, err := b.server.Status(ctx, appName)
	if err != nil {
		return err
	}
	for _, i := range st.Instances {
		if i.Role != "current" {
			continue
		}
		if started[i.PID] {
			return fmt.Errorf("%s, pid %d, has been in production before: this deploy started nothing", i.ID, i.PID)
		}
		started[i.PID] = true
	}
	_, err = b.server.Run(ctx, "promote", "--app", appName)
	return err
}

// A deployed is what came of one.
type deployed struct {
	took time.Duration // the command
	late int           // answers of the old release after the acknowledged cutover
	cost bill          // of the command, and of those on the meter while it ran
}

// underLoad deploys release A or B, as the section "deploying" of the load, and tells the load when the cutover was acknowledged. m
// may be nil.
func (b *bench) underLoad(ctx context.Context, g *load.Generator, name string, m *meter) (deployed, error) {
	var d deployed
	g.Deploying(b.names[name])
	g.Enter("deploying")
	took, used, err := b.server.DeployUsing(ctx, b.apps[name])
	g.Enter("between")
	if err != nil {
		return d, err
	}
	d.took = took
	if m != nil {
		if d.cost, _, err = m.read(); err != nil {
			return d, err
		}
		d.cost[commands] = used
	}
	st, err := b.server.Status(ctx, appName)
	if err != nil {
		return d, err
	}
	at, ok := acknowledged(st)
	if !ok || string(st.Release) != b.names[name] {
		return d, fmt.Errorf("deploy says done, but production is on %s and rollout %+v", st.Release, st.Rollout)
	}
	d.late = g.Cutover(at)
	return d, nil
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

// total over all releases.
func total(l map[semper.ReleaseName]semper.Ledger) semper.Ledger {
	var sum semper.Ledger
	for _, c := range l {
		sum = sum.Add(c)
	}
	return sum
}

// less is what was counted between two looks.
func less(now, was semper.Ledger) semper.Ledger {
	now.Accepted -= was.Accepted
	now.Served -= was.Served
	now.AppErrors -= was.AppErrors
	now.EdgeErrors -= was.EdgeErrors
	now.Retried -= was.Retried
	now.Held -= was.Held
	now.Shed -= was.Shed
	now.Cut -= was.Cut
	now.Gone -= was.Gone
	return now
}
