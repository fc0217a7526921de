package actor

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestAfterKeepsTime: what is due comes in the order of its time, and of its call within the same moment; what was
// stopped does not come.
func TestAfterKeepsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type arrival struct {
			at time.Duration
			n  int
		}
		var got, want []arrival
		origin := time.Now()
		a, err := Start[any](quiet, &script{handle: func(_ *Self[any], m any) error {
			if n, ok := m.(int); ok {
				got = append(got, arrival{time.Since(origin), n})
			}
			return nil
		}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 2))
		plan := func(from, to int) {
			for n := from; n < to; n++ {
				d := time.Duration(r.IntN(50)) * time.Millisecond
				timer := a.s.After(d, n)
				if r.IntN(4) == 0 {
					if !timer.Stop() || timer.Stop() {
						t.Error("stopped late, or twice")
					}
					continue
				}
				want = append(want, arrival{time.Since(origin) + d, n})
			}
		}
		plan(0, 1000)
		time.Sleep(20 * time.Millisecond)
		plan(1000, 2000) // some of them before those that wait
		time.Sleep(time.Second)
		synctest.Wait()
		plan(2000, 2010) // after a rest
		time.Sleep(time.Second)
		synctest.Wait()
		slices.SortStableFunc(want, func(a, b arrival) int { return int(a.at - b.at) })
		if !slices.Equal(got, want) {
			t.Errorf("%d came, want %d in their order", len(got), len(want))
		}
		last := a.s.After(0, 1)
		synctest.Wait()
		if last.Stop() {
			t.Error("stopped after it was sent")
		}
		a.PID().Kill()
	})
}

// TestStoppedTimersAreForgotten: a process that sets and stops timers for ever does not grow.
func TestStoppedTimersAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, err := Start[any](quiet, &script{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 100_000 {
			a.s.After(time.Hour, 1).Stop()
		}
		if n := len(a.s.clock.queue); n > 1000 {
			t.Errorf("%d stopped timers are kept", n)
		}
		a.PID().Kill()
		a.s.After(time.Hour, 1)
	})
}
