package witness

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"semper/edge/metrics"
)

// many are places of so many routes, each of which had a few requests.
func many(tb testing.TB, w *Witness, n int) []*Place {
	tb.Helper()
	places := make([]*Place, n)
	for i := range places {
		places[i] = w.Place(metrics.Key{App: "shop", Release: "r1", Pool: fmt.Sprintf("shop/production/%d", i), Route: "shop.example/"})
	}
	busy(tb, w, places)
	return places
}

// busy has each place serve a few requests, from 1 to 1.3 ms.
func busy(tb testing.TB, w *Witness, places []*Place) {
	tb.Helper()
	r, c := parse(tb, browser), &Client{Addr: netip.MustParseAddr("192.0.2.1")}
	for _, p := range places {
		for j := range 4 {
			ordinary(w.Shard(1+j%2), c, p, r, int64(j)*1e6)
		}
	}
}

func TestALookLeavesTheProcessorToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := open(t, Options{Loops: 2})
		const pieces = 10
		places := many(t, w, pieces*piece) // and the series of what has no place
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Watch(ctx, func() []*Place { return places }) }()
		time.Sleep(time.Second + pieces*breath - breath/2)
		synctest.Wait()
		if r := w.Traffic(); !r.At.IsZero() {
			t.Errorf("it was done in less than %d pieces: %d rows", pieces+1, len(r.Rows))
		}
		time.Sleep(breath)
		busy(t, w, places)
		time.Sleep(time.Second)
		synctest.Wait()
		r := w.Traffic()
		if len(r.Rows) != len(places) || slices.ContainsFunc(r.Rows, func(r metrics.Row) bool { return r.Status.Success != 4 || r.Rate1 != 4 }) {
			t.Errorf("%d rows of %d", len(r.Rows), len(places))
		}
		time.Sleep(time.Second - 3*breath) // within the third look
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkLook is what the look of every second costs: all of it, and the pieces that requests wait for, where
// every place had requests since the last look, and where none had.
func BenchmarkLook(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		for _, name := range []string{"busy", "still"} {
			b.Run(fmt.Sprint(n, " ", name), func(b *testing.B) {
				w := open(b, Options{Loops: 2, Goroutines: 2})
				places, now := many(b, w, n), time.Now()
				w.Look(now, places)
				var pieces []time.Duration
				var all time.Duration
				one := func(f func()) {
					before := time.Now()
					f()
					pieces = append(pieces, time.Since(before))
					all += pieces[len(pieces)-1]
				}
				b.ReportAllocs()
				for b.Loop() {
					if name == "busy" {
						b.StopTimer()
						busy(b, w, places)
						b.StartTimer()
					}
					now = now.Add(time.Second)
					var g *metrics.Gathering
					one(func() { g = w.gather(now) })
					for more := true; more; {
						one(func() { more = g.Read(piece) })
					}
					one(func() { w.see(g.Snapshot(), places) })
				}
				slices.Sort(pieces)
				b.ReportMetric(float64(all)/float64(b.N), "ns/look")
				b.ReportMetric(float64(pieces[len(pieces)/2]), "ns/median-piece")
				b.ReportMetric(float64(pieces[len(pieces)*99/100]), "ns/p99-piece")
			})
		}
	}
}
