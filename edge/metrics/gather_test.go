package metrics

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// TestAReadingIsWhatAScrapeSums has random events, and compares what reports are made of with what a scrape adds up; and what was
// gathered onto an earlier snapshot with what is read anew.
func TestAReadingIsWhatAScrapeSums(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	r := New(Options{Shards: 3})
	var series []*Series
	for _, app := range []string{"d", "a", "c"} {
		series = append(series, r.Series(Key{App: app}))
	}
	var before *Snapshot
	shared := 0
	for round := range 60 {
		if round == 30 {
			series = append(series, r.Series(Key{App: "b"})) // between others
		}
		for range random.IntN(20) {
			happen(random, series[random.IntN(len(series))].Shard(random.IntN(3)))
		}
		now := time.Unix(int64(round), 0)
		g := r.Gather(now, before)
		for g.Read(2) {
		}
		onto, anew := g.Snapshot(), r.Snapshot(now)
		if !reflect.DeepEqual(onto, anew) {
			t.Fatalf("round %d: gathered %+v\nread anew %+v", round, onto, anew)
		}
		all, _ := r.list()
		for i, s := range all {
			compare(t, s.read(), &onto.Series[i])
			if old := before.of(i, s.key); old.Requests() > 0 && old.Requests() == onto.Series[i].Requests() {
				shared++
			}
		}
		before = onto
	}
	if shared == 0 {
		t.Error("no series ever stood still: this tests nothing")
	}
}

// happen lets something happen to a request.
func happen(random *rand.Rand, c *Counters) {
	took := time.Duration(random.Int64N(int64(time.Second)))
	switch random.IntN(6) {
	case 0:
		c.Begin()
	case 1:
		c.Count(Event(random.IntN(int(upstreamOpened))))
	case 2:
		c.Held(took)
	case 3:
		c.Try(&Attempt{Method: MethodGet, Failure: Failure(random.IntN(failures)), Status: 200, Took: took})
	default:
		c.Begin()
		c.Done(&Outcome{Method: Method(random.IntN(methods)), Status: random.IntN(600), Took: took})
	}
}

func compare(t *testing.T, want *sum, got *Reading) {
	t.Helper()
	var classes [6]uint64
	for i := range want.server {
		classes[class(want.server[i].column)] += want.server[i].count()
	}
	var failures uint64
	for i := range want.client {
		if f := columnID(want.client[i].column).failure(); f != "" && f != FailCanceled.String() {
			failures += want.client[i].count()
		}
	}
	e := &want.events
	retries, shed := e[RetryConnect]+e[RetryReset]+e[RetryStatus], e[ShedHoldRequests]+e[ShedHoldBytes]+e[ShedHoldAge]+e[ShedQueue]+e[ShedLimit]+e[ShedLoad]+e[ShedRate]
	if got.Key != want.key || got.Classes != classes || got.InFlight != want.active || got.UpstreamFailures != failures || got.Retries != retries ||
		got.Shed != shed || got.Held != want.held.count() || !reflect.DeepEqual(got.Latency, want.latency) || !reflect.DeepEqual(got.Upstream, want.upstream) {
		t.Fatalf("a reading of %+v; a scrape has classes %v, %d in flight, %d failures, %d retries, %d shed, %d held, latencies %d and %d", got,
			classes, want.active, failures, retries, shed, want.held.count(), want.latency.Count(), want.upstream.Count())
	}
}
