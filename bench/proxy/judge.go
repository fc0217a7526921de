package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"semper"
	"semper/bench/proxy/contender"
	"semper/bench/proxy/generate"
	"semper/bench/proxy/openloop"
	"semper/bench/proxy/proc"
	"semper/bench/rig"
)

// A trial is one edge that is told, between turns, how a release is tried. It belongs to the goroutine of the bench.
type trial struct {
	*contender.Running
	control string // its URL
	backend string
	epoch   semper.Epoch
	script  string // for wrk: requests of many users, in turn
	cookie  string // of one of them
}

// ways are the names of what a trial may do. more is plain with as many requests more as shadow makes copies: here they all go to one
// backend, which answers the later the more it has to do, and that is no cost of copying.
var ways = []string{"plain", "chance", "user", "shadow", more}

const (
	more    = "more"
	moreRow = "judge/p99/" + more
)

const (
	trialPool  = semper.PoolKey("shop/production/web")
	trialUsers = 500
	// shadowShare is which part of the requests is copied, to two.
	shadowShare = .1
	// trialSlices is in how many turns a round is cut: what is looked for is one part in a hundred, and a machine changes more than that
	// from one run to the next.
	trialSlices = 8
	// pacedSlices are more, each a tenth of a run and a round of its own: who takes a processor away for ten milliseconds makes the slowest
	// request in a hundred of a slice, and there have to be slices that he left alone.
	pacedSlices = 30
)

// table is that of way. The pools of the arms are always there, so that going from one way to another opens no connection.
func (t *trial) table(way string) semper.Table {
	pool := func(arm semper.Arm, release semper.ReleaseName) semper.Pool {
		key := trialPool.PoolOf(arm)
		return semper.Pool{Key: key, App: "shop", Release: release, Arm: arm, Backend: []semper.Backend{{ID: semper.InstanceID(key) + ".1", Address: t.backend}}}
	}
	stable, candidate, baseline := pool(semper.ArmStable, "r1"), pool(semper.ArmCandidate, "r2"), pool(semper.ArmBaseline, "r1")
	stable.Arm = ""
	split := func(by string) *semper.Split {
		return &semper.Split{Rollout: "bench", By: by, Arms: []semper.ArmShare{{Arm: semper.ArmCandidate, Share: .05}, {Arm: semper.ArmBaseline, Share: .05}}}
	}
	switch way {
	case "chance":
		stable.Split = split("")
	case "user":
		stable.Split = split("user")
	case "shadow":
		stable.Shadow = &semper.Shadow{Rollout: "bench", Share: shadowShare}
	}
	return semper.Table{
		Epoch: t.epoch, Routes: []semper.Route{{Path: "/", Pool: trialPool}}, Pools: []semper.Pool{stable, candidate, baseline},
		StickyKey: bytes.Repeat([]byte("key."), 8),
	}
}

// turn makes t do it in another way.
func (t *trial) turn(ctx context.Context, way string) error {
	t.epoch++
	body, err := json.Marshal(t.table(way))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, t.control+"/table", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("table of %s: status %d", way, resp.StatusCode)
	}
	return nil
}

// copies is how many copies of requests were answered so far.
func (t *trial) copies(ctx context.Context) (n uint64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.control+"/v1/shadows", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var all []struct{ Pairs, Copies uint64 }
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return 0, fmt.Errorf("what the edge compared: %w", err)
	}
	for _, c := range all {
		n += c.Pairs + c.Copies
	}
	return n, nil
}

// startTrial runs the edge, meets its users, and lets each way warm up.
func (b *bench) startTrial(ctx context.Context) (t *trial, err error) {
	http1, err := rig.FreeAddress()
	if err != nil {
		return nil, err
	}
	control, err := rig.FreeAddress()
	if err != nil {
		return nil, err
	}
	p, err := proc.Start(b.mine, filepath.Join(b.dir, "trial.log"), nil, filepath.Join(b.dir, "trial"), "-http", http1, "-control", control)
	if err != nil {
		return nil, err
	}
	t = &trial{
		Running: &contender.Running{Process: p, Name: contender.Semper, Setup: contender.Setup{HTTP: http1, Upstream: b.tcp}}, control: "http://" + control,
		backend: b.tcp.Address, script: filepath.Join(b.dir, "users.lua"),
	}
	defer func() {
		if err != nil {
			p.Stop()
		}
	}()
	if err := p.Ready(ctx, http1, control); err != nil {
		return nil, err
	}
	if err := t.meet(ctx); err != nil {
		return nil, err
	}
	for _, way := range ways {
		if err := t.turn(ctx, way); err != nil {
			return nil, err
		}
		if _, err := generate.WrkOf(ctx, "http://"+http1+"/", t.script, 64, time.Second); err != nil {
			return nil, fmt.Errorf("%s, warming up: %w", way, err)
		}
	}
	return t, nil
}

// meet has the edge give cookies to as many users as there are, and writes the script that sends them.
func (t *trial) meet(ctx context.Context) error {
	if err := t.turn(ctx, "user"); err != nil {
		return err
	}
	var lines strings.Builder
	for range trialUsers {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Setup.HTTP+"/", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		given := resp.Cookies()
		resp.Body.Close() //nolint:errcheck // only read
		if resp.StatusCode != http.StatusOK || len(given) != 1 {
			return fmt.Errorf("a new user: status %d, %d cookies", resp.StatusCode, len(given))
		}
		t.cookie = given[0].Name + "=" + given[0].Value
		fmt.Fprintf(&lines, "  %q,\n", t.cookie)
	}
	return os.WriteFile(t.script, []byte(replace(usersScript, "COOKIES", lines.String())), 0o644)
}

const usersScript = `local cookies = {
COOKIES}
local requests, at = {}, 0
function init()
  for i, cookie in ipairs(cookies) do requests[i] = wrk.format("GET", "/", {["Host"] = wrk.headers["Host"], ["Cookie"] = cookie}) end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
`

func replace(text, word, by string) string { return strings.Replace(text, word, by, 1) }

// judging measures what splits and copies cost the edge.
func judging(ctx context.Context, b *bench) error {
	t, err := b.startTrial(ctx)
	if err != nil {
		return err
	}
	defer t.Stop()
	most := math.Inf(1)
	for round := range b.rounds {
		rate, err := b.closed(ctx, t, round)
		if err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		most = min(most, rate)
	}
	for round := range b.rounds {
		if err := b.pacedTrial(ctx, t, round, most/4); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
	}
	return t.Alive()
}

// order is in what order n ways take their turns of a slice. It is drawn, the same in every run: what happens each second would
// otherwise keep step with the turns, and meet the same way always.
func order(round, slice, n int) []int {
	return rand.New(rand.NewPCG(uint64(round), uint64(slice))).Perm(n)
}

// closed is a round of the ways that need no pace, in slices that take turns. It returns how many requests a second plain answered.
func (b *bench) closed(ctx context.Context, t *trial, round int) (rate float64, err error) {
	sums, ways := map[string]*cost{}, ways[:3]
	for slice := range trialSlices {
		for _, i := range order(round, slice, len(ways)) {
			way := ways[i]
			if err := t.turn(ctx, way); err != nil {
				return 0, err
			}
			c, err := b.cost(t.Running, func() (generate.Count, error) {
				return generate.WrkOf(ctx, "http://"+t.Setup.HTTP+"/", t.script, 64, b.run/4)
			})
			if err != nil {
				return 0, fmt.Errorf("%s: %w", way, err)
			}
			if sums[way] == nil {
				sums[way] = new(cost)
			}
			sums[way].add(c)
		}
	}
	for _, way := range ways {
		b.record("judge/cpu/"+way, contender.Semper, round, sums[way].perRequest(), sums[way].detail(nil))
	}
	return sums["plain"].Rate(), nil
}

// add makes c what both used. Its P99 and Others are the greatest.
func (c *cost) add(o cost) {
	c.Requests += o.Requests
	c.Bytes += o.Bytes
	c.Elapsed += o.Elapsed
	c.P99 = max(c.P99, o.P99)
	c.Ran, c.User, c.System = c.Ran+o.Ran, c.User+o.User, c.System+o.System
	c.Others = max(c.Others, o.Others)
}

// pacedTrial is a round of all ways at a rate, in slices that take turns, each way on the same timetables. What the others on the machine
// take falls into a few of the slices, so that each is a round of its own for its percentiles.
func (b *bench) pacedTrial(ctx context.Context, t *trial, round int, rate float64) error {
	paced := make(map[string]*pacedWay)
	for slice := range pacedSlices {
		for _, i := range order(round, slice, len(ways)) {
			way := ways[i]
			if paced[way] == nil {
				paced[way] = new(pacedWay)
			}
			wanted := rate
			if way == more {
				wanted *= 1 + 2*shadowShare
			}
			if err := b.pacedSlice(ctx, t, way, round*pacedSlices+slice, paced[way], openloop.Options{
				Address: t.Setup.HTTP, Request: []byte("GET / HTTP/1.1\r\nHost: " + t.Setup.HTTP + "\r\nCookie: " + t.cookie + "\r\n\r\n"), Rate: wanted, Duration: b.run / 10,
				Connections: 64, Seed: uint64(round*pacedSlices + slice + 1), Grace: 10 * time.Second,
			}); err != nil {
				return fmt.Errorf("%s: %w", way, err)
			}
		}
	}
	for _, way := range ways {
		p := paced[way]
		if way == "plain" || way == "shadow" {
			b.record("judge/paced/"+way, contender.Semper, round, p.perRequest(), p.detail(nil))
		}
	}
	shadow := paced["shadow"]
	b.record("judge/copies", contender.Semper, round, float64(shadow.copies)/float64(shadow.Requests), nil)
	return b.added(round, paced["plain"].perRequest(), shadow.perRequest())
}

// A pacedWay is what one way cost in the slices of a round.
type pacedWay struct {
	cost
	copies uint64
}

// pacedSlice adds slice n of all of way's to p.
func (b *bench) pacedSlice(ctx context.Context, t *trial, way string, n int, p *pacedWay, o openloop.Options) error {
	if err := t.turn(ctx, way); err != nil {
		return err
	}
	before, err := t.copies(ctx)
	if err != nil {
		return err
	}
	var res openloop.Result
	c, err := b.cost(t.Running, func() (generate.Count, error) {
		res, err = openloop.Run(ctx, o)
		return generate.Count{Requests: int64(res.Sent), Elapsed: o.Duration}, err
	})
	if err == nil && res.Failed > 0 {
		err = fmt.Errorf("%d of %d requests failed: %w", res.Failed, res.Sent, res.Err)
	}
	if err != nil {
		return err
	}
	after, err := t.copies(ctx)
	if err != nil {
		return err
	}
	p.add(c)
	p.copies += after - min(before, after)
	b.record("judge/p99/"+way, contender.Semper, n, micro(res.Corrected.Quantile(.99)), map[string]float64{
		"per_second": o.Rate, "others": c.Others, "generator_lag_p99_us": micro(res.Lag.Quantile(.99)), "uncorrected_p99_us": micro(res.Service.Quantile(.99)),
	})
	return nil
}

// added records what copies cost beyond as many requests more.
func (b *bench) added(round int, plain, shadow float64) error {
	copies := values(b.readings, "judge/copies", contender.Semper)
	if len(copies) == 0 || plain <= 0 {
		return errors.New("nothing to compare copies with")
	}
	last := copies[len(copies)-1]
	if last < .15 { // of .2: one of ten, to two; how many it is by chance
		b.problem("judge, round %d: %.3f copies for each request, where 0.2 were asked for: what they cost is told too low", round+1, last)
	}
	b.record("judge/added", contender.Semper, round, shadow/plain-1-last, nil)
	return nil
}
