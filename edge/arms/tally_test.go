package arms_test

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"semper"
	"semper/edge/arms"
	"semper/edge/ledger"
	"semper/edge/refusal"
	"semper/edge/route"
	"semper/edge/sketch"
)

// candidate is what was counted of that arm.
func candidate(t *arms.Tallies) semper.ArmCounts {
	for _, c := range t.Counts(began) {
		if c.Arm == semper.ArmCandidate {
			return c
		}
	}
	return semper.ArmCounts{}
}

// TestPlanKnowsWhatEachPoolIs: shares, holds, and under which name its requests are counted.
func TestPlanKnowsWhatEachPoolIs(t *testing.T) {
	t.Parallel()
	p := pools("", map[semper.Arm]float64{semper.ArmCandidate: .25, semper.ArmBaseline: .25})
	p[0].Hold = semper.Holds{{By: "me"}}
	p = append(p, semper.Pool{Key: "bar/production/api", Release: "r1"}, semper.Pool{Key: "bar/production/api@candidate", Release: "r2", Arm: semper.ArmCandidate})
	all, err := arms.NewTallies("edge-1", began, 1).Plan(p, key, began)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		stable semper.PoolKey
		share  float64
		arm    semper.Arm
		held   bool
		counts bool
	}{
		{web, .5, semper.ArmStable, true, true}, {web, .25, semper.ArmCandidate, true, true}, {web, .25, semper.ArmBaseline, true, true},
		{"bar/production/api", 1, "", false, true}, {"bar/production/api", 0, semper.ArmCandidate, false, false},
	} {
		got := all[i]
		if got.Stable != want.stable || got.Share != want.share || got.Arm != want.arm || (got.Hold != nil) != want.held || (got.Tally != nil) != want.counts {
			t.Errorf("%s: stable %s, share %g, arm %q, held %v, counted %v; want %+v", got.Key, got.Stable, got.Share, got.Arm, got.Hold != nil, got.Tally != nil, want)
		}
		if s := arms.SeriesOf(&got.Pool); s.Pool != string(want.stable) || s.Arm != string(want.arm) {
			t.Errorf("%s: shown as %+v", got.Key, s)
		}
	}
}

// TestAccounts: what becomes of a request counts where it was assigned, once.
func TestAccounts(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		do   func(r *arms.Request, candidate *arms.Tally)
		want semper.ArmCounts
	}{
		"served":        {func(r *arms.Request, _ *arms.Tally) { r.End(ledger.Served, "", time.Millisecond) }, semper.ArmCounts{Requests: 1}},
		"once":          {func(r *arms.Request, _ *arms.Tally) { r.End(ledger.Served, "", 1); r.End(ledger.AppErrors, "", 1) }, semper.ArmCounts{Requests: 1}},
		"500":           {func(r *arms.Request, _ *arms.Tally) { r.End(ledger.AppErrors, "", 1) }, semper.ArmCounts{Requests: 1, Failed: 1}},
		"broken off":    {func(r *arms.Request, _ *arms.Tally) { r.End(ledger.EdgeErrors, "", 1) }, semper.ArmCounts{Requests: 1, Failed: 1}},
		"too busy":      {func(r *arms.Request, _ *arms.Tally) { r.End(ledger.Shed, refusal.Busy.Word, 1) }, semper.ArmCounts{Requests: 1, Failed: 1}},
		"rate":          {func(r *arms.Request, _ *arms.Tally) { r.End(ledger.Shed, refusal.Rate.Word, 1) }, semper.ArmCounts{}},
		"hold":          {func(r *arms.Request, _ *arms.Tally) { r.End(ledger.Shed, refusal.HoldAge.Word, 1) }, semper.ArmCounts{}},
		"no memory":     {func(r *arms.Request, _ *arms.Tally) { r.End(ledger.Shed, refusal.Memory.Word, 1) }, semper.ArmCounts{}},
		"cut":           {func(r *arms.Request, _ *arms.Tally) { r.End(ledger.Cut, refusal.Cut.Word, 1) }, semper.ArmCounts{}},
		"client gone":   {func(r *arms.Request, _ *arms.Tally) { r.End(ledger.Gone, "", 1) }, semper.ArmCounts{Gone: 1}},
		"under way":     {func(*arms.Request, *arms.Tally) {}, semper.ArmCounts{}},
		"entered twice": {func(r *arms.Request, c *arms.Tally) { r.Enter(c, 1); r.End(ledger.Served, "", 1) }, semper.ArmCounts{Requests: 1}},
		"mended within the arm": {func(r *arms.Request, c *arms.Tally) {
			r.Fail()
			r.Enter(c, 0)
			r.End(ledger.Served, "", 1)
		}, semper.ArmCounts{Requests: 1, Failed: 1}},
		"mended by the stable pool": {func(r *arms.Request, _ *arms.Tally) {
			r.Fail()
			r.Fall()
			r.Enter(nil, 0)
			r.End(ledger.Served, "", 1)
		}, semper.ArmCounts{Requests: 1, Failed: 1}},
		"nobody there": {func(r *arms.Request, _ *arms.Tally) {
			r.Fall()
			r.Enter(nil, 0)
			r.Fail()
			r.End(ledger.AppErrors, "", 1)
		}, semper.ArmCounts{Missed: 1}},
		"moved on after a failure": {func(r *arms.Request, _ *arms.Tally) {
			r.Fail()
			r.Enter(nil, 0) // of another table
			r.End(ledger.Served, "", 1)
		}, semper.ArmCounts{Requests: 1, Failed: 1}},
	} {
		tallies := arms.NewTallies("edge-1", began, 2)
		s := plan(t, tallies, pools("client", map[semper.Arm]float64{semper.ArmCandidate: 1}))
		q := route.Query{Client: netip.MustParseAddr("192.0.2.1")}
		var r arms.Request
		at := r.Pick(s, &q, false)
		r.Enter(s.Arms[at].Tally, 1)
		c.do(&r, s.Arms[at].Tally)
		var got semper.ArmCounts
		for _, o := range tallies.Counts(began) {
			if o.Arm != semper.ArmCandidate {
				if o.Assigned+o.Requests > 0 {
					t.Errorf("%s: %s has %+v", what, o.Arm, o)
				}
				continue
			}
			got = o
		}
		c.want.Edge, c.want.Pool, c.want.Rollout, c.want.Release, c.want.Arm, c.want.Assigned = "edge-1@2026-11-21T14:00:00Z", web, "ro1", "r2", semper.ArmCandidate, 1
		c.want.Users, c.want.Hurt = c.want.Requests, c.want.Failed
		var latency sketch.Counts
		if got.Latency != nil {
			if err := latency.UnmarshalBinary(got.Latency); err != nil {
				t.Fatal(err)
			}
		}
		if latency.Count() != got.Requests {
			t.Errorf("%s: %d latencies of %d requests", what, latency.Count(), got.Requests)
		}
		if got.Latency = nil; !equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", what, got, c.want)
		}
	}
}

func equal(a, b semper.ArmCounts) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// TestUsersAreBits: few are missed, as many as the package says, none is counted twice, and those hurt are among them.
func TestUsersAreBits(t *testing.T) {
	t.Parallel()
	tallies := arms.NewTallies("edge-1", began, 1)
	s := plan(t, tallies, pools("client", map[semper.Arm]float64{semper.ArmCandidate: 1}))
	const n, bad = 100_000, 1000
	for round := range 2 {
		for i := range uint32(n) {
			var a [4]byte
			binary.BigEndian.PutUint32(a[:], i)
			var r arms.Request
			q := route.Query{Client: netip.AddrFrom4(a)}
			r.Enter(s.Arms[r.Pick(s, &q, false)].Tally, 0)
			how := ledger.Served
			if round == 0 && i < bad {
				how = ledger.AppErrors
			}
			r.End(how, "", time.Microsecond)
		}
	}
	c := candidate(tallies)
	if missed := n - float64(c.Users); missed < 800 || missed > 1600 { // n²/2^23 = 1192 ± 35
		t.Errorf("%d users of %d", c.Users, n)
	}
	if c.Hurt < bad-5 || c.Hurt > bad {
		t.Errorf("%d of %d were hurt", c.Hurt, bad)
	}
	if c.Requests != 2*n || c.Failed != bad {
		t.Errorf("%+v", c)
	}
}

// TestCountsOutliveTheirArm for ten minutes, and come back with it.
func TestCountsOutliveTheirArm(t *testing.T) {
	t.Parallel()
	tallies := arms.NewTallies("edge-1", began, 1)
	with := pools("", map[semper.Arm]float64{semper.ArmCandidate: 1})
	without := []semper.Pool{{Key: web, App: "bar", Release: "r1"}}
	s := plan(t, tallies, with)
	var r arms.Request
	r.Enter(s.Arms[r.Pick(s, &route.Query{}, false)].Tally, 0)
	counts := func(now time.Time) (assigned uint64, there bool) {
		for _, c := range tallies.Counts(now) {
			if c.Arm == semper.ArmCandidate {
				return c.Assigned, true
			}
		}
		return 0, false
	}
	turn := func(p []semper.Pool, at time.Time) {
		if _, err := tallies.Plan(p, key, at); err != nil {
			t.Fatal(err)
		}
	}
	turn(without, began.Add(time.Minute))
	if n, ok := counts(began.Add(10 * time.Minute)); n != 1 || !ok {
		t.Errorf("nine minutes later: %d, %v", n, ok)
	}
	turn(with, began.Add(10*time.Minute))
	if n, ok := counts(began.Add(time.Hour)); n != 1 || !ok {
		t.Errorf("it is back: %d, %v", n, ok)
	}
	turn(without, began.Add(time.Hour))
	if _, ok := counts(began.Add(time.Hour + 10*time.Minute)); ok {
		t.Error("it is told for ever")
	}
}

// TestReadingsAreWhole: while requests are counted, no reading has more of a part than of the whole, and none goes back.
func TestReadingsAreWhole(t *testing.T) {
	t.Parallel()
	tallies := arms.NewTallies("edge-1", began, 2)
	s := plan(t, tallies, pools("client", map[semper.Arm]float64{semper.ArmCandidate: 1}))
	done := make(chan struct{})
	for shard := range 2 {
		go func() {
			rng := rand.New(rand.NewPCG(1, uint64(shard))) //nolint:gosec // a test's
			for range 20_000 {
				var a [4]byte
				binary.BigEndian.PutUint32(a[:], rng.Uint32())
				var r arms.Request
				q := route.Query{Client: netip.AddrFrom4(a)}
				r.Enter(s.Arms[r.Pick(s, &q, false)].Tally, shard)
				r.End(ledger.End(rng.IntN(2)), "", time.Duration(rng.IntN(1e9)))
			}
			done <- struct{}{}
		}()
	}
	var before semper.ArmCounts
	for left := 2; left > 0; {
		select {
		case <-done:
			left--
		default:
		}
		c := candidate(tallies)
		var latency sketch.Counts
		if c.Latency != nil {
			if err := latency.UnmarshalBinary(c.Latency); err != nil {
				t.Fatal(err)
			}
		}
		if c.Requests > c.Assigned || c.Failed > c.Requests || c.Hurt > c.Users || latency.Count() > c.Requests || c.Users > c.Requests {
			t.Fatalf("%+v with %d latencies", c, latency.Count())
		}
		if c.Assigned < before.Assigned || c.Requests < before.Requests || c.Failed < before.Failed || c.Users < before.Users {
			t.Fatalf("%+v after %+v", c, before)
		}
		before = c
	}
	if before.Requests != 40_000 {
		t.Errorf("%+v", before)
	}
}
