package main

import (
	"context"
	"errors"
	"fmt"

	"semper/bench/proxy/contender"
)

// gateLimit is semper's processor time for a request as a ratio of nginx's, above which the gate fails: the claim of issue 4 for 64
// connections. It has no room for noise, because the median of ratios within rounds has none left to give; who must land something on a
// slower machine says so by -limit (make bench-gate GATE=1.0) and not here.
const gateLimit = 0.95

// judge measures semper and nginx in turns, and is an error when semper is above the limit.
func (b *bench) judge(ctx context.Context) error {
	if len(b.contenders) < 2 {
		return errors.New("the gate wants both, semper with `edge run` and nginx: it cannot judge")
	}
	all, stop, err := b.startAll(ctx, b.tcp)
	if err != nil {
		return err
	}
	defer stop()
	if len(all) < 2 {
		return errors.New("the gate wants both, semper and nginx, and one did not come up: it cannot judge")
	}
	const connections = 64
	if err := b.turns(ctx, all, func(round int, r *contender.Running) error { return b.request(ctx, r, round, connections) }); err != nil {
		return err
	}
	row := cpuRow("tcp", connections)
	mine, theirs := values(b.readings, row, contender.Semper), values(b.readings, row, contender.Nginx)
	each := ratios(b.readings, row, contender.Semper, row, contender.Nginx)
	if len(each) < b.rounds {
		return fmt.Errorf("%d of %d rounds have both figures: the gate cannot judge", len(each), b.rounds)
	}
	ratio := spreadOf(each)
	others, stolen, err := b.noise.end()
	if err != nil {
		return err
	}
	fmt.Printf("processor time per request, %d connections: semper %s µs, nginx %s µs, ratio %s, limit %g; others had %.0f %% of the machine\n",
		connections, number(spreadOf(mine), 2), number(spreadOf(theirs), 2), number(ratio, 3), b.limit, 100*(others+stolen))
	if ratio.Median > b.limit {
		return fmt.Errorf("an ordinary request costs %.3f times the processor time of nginx, more than %g: find what made it slower (go run ./bench/proxy -only cpu, then perf), or tell why it must be", ratio.Median, b.limit)
	}
	return nil
}
