package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"semper/bench/proxy/contender"
	"semper/bench/proxy/generate"
	"semper/bench/proxy/openloop"
)

// row names, made here and in rows.go alike.
func cpuRow(network string, connections int) string {
	return fmt.Sprintf("cpu/%s/%d", network, connections)
}
func latencyRow(percent int, quantile string) string {
	return fmt.Sprintf("openloop/%d/%s", percent, quantile)
}

// connections that the processor time per request is measured with.
var connections = []int{64, 512}

// cpu measures processor time per request in a closed loop, before a TCP and before a unix socket.
func cpu(ctx context.Context, b *bench) error {
	all, stop, err := b.startAll(ctx, b.tcp, b.unix)
	if err != nil {
		return err
	}
	defer stop()
	for _, n := range connections {
		err := b.turns(ctx, all, func(round int, r *contender.Running) error { return b.request(ctx, r, round, n) })
		if err != nil {
			return err
		}
	}
	return nil
}

// request is one reading of cpu.
func (b *bench) request(ctx context.Context, r *contender.Running, round, connections int) error {
	c, err := b.cost(r, func() (generate.Count, error) {
		return generate.Wrk(ctx, "http://"+r.Setup.HTTP+"/", connections, b.run)
	})
	if err != nil {
		return err
	}
	b.record(cpuRow(r.Setup.Upstream.Network, connections), r.Name, round, c.perRequest(), c.detail(map[string]float64{"closed_loop_p99_us": micro(c.P99)}))
	return nil
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// percents of the slowest peer's maximum, at which latencies are measured.
var percents = []int{25, 50, 75}

// openSlices are in how many turns a round of a fixed rate is cut, each half as long as another run and a round of its own. Who takes a
// processor away for a moment makes the slowest request in a hundred of one turn, whosever turn it is; of a few long turns all have met him.
const openSlices = 4

// openLoop measures latencies at fixed rates.
func openLoop(ctx context.Context, b *bench) error {
	all, stop, err := b.startAll(ctx, b.tcp)
	if err != nil {
		return err
	}
	defer stop()
	slowest := math.Inf(1)
	err = b.turns(ctx, all, func(round int, r *contender.Running) error {
		n, err := generate.Wrk(ctx, "http://"+r.Setup.HTTP+"/", 64, b.run)
		if err != nil {
			return err
		}
		b.record("openloop/maximum", r.Name, round, n.Rate(), nil)
		if r.Name != contender.Semper && r.Name != contender.Goroutine {
			slowest = min(slowest, n.Rate())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if math.IsInf(slowest, 1) {
		return fmt.Errorf("the rates are parts of the slowest peer's maximum: there is no peer")
	}
	say("the slowest peer answered %.0f/s", slowest)
	for _, percent := range percents {
		rate := slowest * float64(percent) / 100
		err := b.inTurns(ctx, openSlices*b.rounds, all, func(round int, r *contender.Running) error { return b.paced(ctx, r, round, percent, rate) })
		if err != nil {
			return err
		}
	}
	return nil
}

// quantiles that are told of an open loop.
var quantiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}}

// paced is one reading of openLoop. All contenders of a round have the same timetable.
func (b *bench) paced(ctx context.Context, r *contender.Running, round, percent int, rate float64) error {
	var watch noise
	if err := watch.begin(); err != nil {
		return err
	}
	res, err := openloop.Run(ctx, openloop.Options{
		Address: r.Setup.HTTP, Request: []byte("GET / HTTP/1.1\r\nHost: " + r.Setup.HTTP + "\r\n\r\n"), Rate: rate, Duration: b.run / 2,
		Connections: 64, Seed: uint64(round + 1), Grace: 10 * time.Second,
	})
	if err != nil {
		return err
	}
	if res.Failed > 0 {
		return fmt.Errorf("%d of %d requests failed: %w", res.Failed, res.Sent, res.Err)
	}
	others, _, err := watch.end()
	if err != nil {
		return err
	}
	detail := map[string]float64{"requests": float64(res.Sent), "per_second": rate, "others": others, "max_us": micro(res.Corrected.Max())}
	for _, q := range quantiles {
		detail["generator_lag_"+q.name+"_us"] = micro(res.Lag.Quantile(q.q))
		detail["uncorrected_"+q.name+"_us"] = micro(res.Service.Quantile(q.q))
	}
	for _, q := range quantiles {
		b.record(latencyRow(percent, q.name), r.Name, round, micro(res.Corrected.Quantile(q.q)), detail)
	}
	return nil
}

// overTLS measures kept TLS connections, new ones, and HTTP/2.
func overTLS(ctx context.Context, b *bench) error {
	b.secure = true
	defer func() { b.secure = false }()
	all, stop, err := b.startAll(ctx, b.tcp)
	if err != nil {
		return err
	}
	defer stop()
	works := []work{
		{"tls/keepalive", func(s contender.Setup) (generate.Count, error) {
			return generate.Wrk(ctx, "https://"+s.HTTPS+"/", 64, b.run)
		}},
		{"tls/handshake", func(s contender.Setup) (generate.Count, error) {
			return generate.Handshakes(ctx, s.HTTPS, 16, b.run)
		}},
		{"tls/h2", func(s contender.Setup) (generate.Count, error) {
			return generate.H2load(ctx, "https://"+s.HTTPS+"/", 16, 8, b.run)
		}},
	}
	return b.works(ctx, all, works, cost.perRequest)
}

// work is what is done for the readings of a row.
type work struct {
	row string
	do  func(contender.Setup) (generate.Count, error)
}

// works measures each work in turns.
func (b *bench) works(ctx context.Context, all []*contender.Running, works []work, figure func(cost) float64) error {
	for _, w := range works {
		err := b.turns(ctx, all, func(round int, r *contender.Running) error {
			c, err := b.cost(r, func() (generate.Count, error) { return w.do(r.Setup) })
			if err != nil {
				return err
			}
			b.record(w.row, r.Name, round, figure(c), c.detail(nil))
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", w.row, err)
		}
	}
	return nil
}

// bodies measures downloads before nginx and uploads before a program that takes them to their end.
func bodies(ctx context.Context, b *bench) error {
	const streams = 8
	down := func(size string) work {
		return work{"bodies/down/" + size, func(s contender.Setup) (generate.Count, error) {
			return generate.Download(ctx, s.HTTP, "/bytes/"+size, bodySizes[size], streams, b.run)
		}}
	}
	up := func(size string) work {
		return work{"bodies/up/" + size, func(s contender.Setup) (generate.Count, error) {
			return generate.Upload(ctx, s.HTTP, "/upload", bodySizes[size], streams, b.run)
		}}
	}
	before := func(u contender.Upstream, works ...work) error {
		all, stop, err := b.startAll(ctx, u)
		if err != nil {
			return err
		}
		defer stop()
		return b.works(ctx, all, works, cost.perSecond)
	}
	if err := before(b.tcp, down("64k"), down("10m")); err != nil {
		return err
	}
	return before(b.app, up("64k"), up("10m"))
}
