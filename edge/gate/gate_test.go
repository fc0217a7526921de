package gate

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper/edge/balance/admit"
)

// open is a gate whose pump is the test's.
func open(o Options) (g *Gate, stop func()) {
	var pumps sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	begin := time.Now()
	o.Now = func() int64 { return int64(time.Since(begin)) }
	o.Pump = func(g *Gate) bool {
		pumps.Go(func() { g.Pump(ctx) })
		return true
	}
	return New(o), func() { cancel(); pumps.Wait() }
}

// wait joins and returns where its verdict comes.
func wait(g *Gate, most int64, p admit.Priority) (*Wait, chan admit.Verdict) {
	told := make(chan admit.Verdict, 1)
	w := &Wait{Priority: p, Told: func(v admit.Verdict) { told <- v }}
	if v := g.Join(w, most, false); v != admit.Wait {
		told <- v
	}
	return w, told
}

func TestWhoWaitsGoesInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, stop := open(Options{Length: 2, Deadline: time.Second})
		defer stop()
		if !g.Enter(1, admit.Normal) || g.Enter(1, admit.Normal) {
			t.Fatal("one has room")
		}
		_, first := wait(g, 1, admit.Normal)
		_, second := wait(g, 1, admit.Normal)
		if _, third := wait(g, 1, admit.Normal); <-third != admit.Shed {
			t.Error("a third waits")
		}
		for _, told := range []chan admit.Verdict{first, second} {
			g.Leave()
			if v := <-told; v != admit.Go {
				t.Errorf("told %v", v)
			}
		}
		g.Leave()
		if g.InFlight() != 0 || g.Waiting() != 0 {
			t.Errorf("%d in flight, %d wait", g.InFlight(), g.Waiting())
		}
	})
}

func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, stop := open(Options{Length: 2, Deadline: time.Second})
		defer stop()
		g.Enter(1, admit.Normal)
		begin := time.Now()
		if _, told := wait(g, 1, admit.Normal); <-told != admit.Late || time.Since(begin) < time.Second {
			t.Errorf("told after %v", time.Since(begin))
		}
		w, _ := wait(g, 1, admit.Normal)
		if !g.Quit(w) || g.Quit(w) {
			t.Error("who waits can leave, once")
		}
	})
}

func TestTheImportantGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, stop := open(Options{})
		defer stop()
		for range 4 {
			g.Enter(8, admit.Normal)
		}
		if g.Enter(8, admit.Low) {
			t.Error("the least important have half of the room")
		}
		if !g.Enter(8, admit.Normal) || !g.Enter(8, admit.High) {
			t.Error("the others have all of it")
		}
	})
}

// TestTheLastOfTheRoomIsForCriticalRequests where there are any, and of the line as well.
func TestTheLastOfTheRoomIsForCriticalRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, stop := open(Options{Length: 10, Deadline: time.Second})
		defer stop()
		enter := func(p admit.Priority) (n int) {
			for g.Enter(10, p) {
				n++
			}
			return n
		}
		g.Critical(true)
		if low, normal, high := enter(admit.Low), enter(admit.Normal), enter(admit.High); low != 5 || normal != 4 || high != 1 {
			t.Errorf("%d of the least important, %d normal and %d critical ones came in, of ten", low, normal, high)
		}
		told := map[admit.Priority]chan admit.Verdict{}
		for _, p := range []admit.Priority{admit.Low, admit.Normal, admit.High} {
			for v := admit.Wait; v != admit.Shed; {
				_, told[p] = wait(g, 10, p)
				select {
				case v = <-told[p]:
				default:
				}
			}
			if got, want := g.Waiting(), map[admit.Priority]int{admit.Low: 5, admit.Normal: 9, admit.High: 10}[p]; got != want {
				t.Errorf("%d wait, want %d", got, want)
			}
		}
		time.Sleep(2 * time.Second) // the line is given up
		g.Critical(false)
		g.Leave()
		g.Leave()
		if got := enter(admit.Normal); got != 2 {
			t.Errorf("where none are critical the others have all: %d more came in", got)
		}
	})
}

// TestRoomMadeElsewhere: what was full was so by what this gate does not count.
func TestRoomMadeElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, stop := open(Options{Length: 1, Deadline: time.Second})
		defer stop()
		told := make(chan admit.Verdict, 1)
		if v := g.Join(&Wait{Told: func(v admit.Verdict) { told <- v }}, 3, true); v != admit.Wait {
			t.Fatalf("told %v", v)
		}
		if v := <-told; v != admit.Go {
			t.Errorf("told %v", v)
		}
	})
}

func TestNeverMoreThanTheBound(t *testing.T) {
	t.Parallel()
	g, stop := open(Options{Length: 100, Deadline: time.Minute})
	defer stop()
	var inside, served atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				if !g.Enter(3, admit.Normal) {
					if _, told := wait(g, 3, admit.Normal); <-told != admit.Go {
						t.Error("turned away with room to wait")
						return
					}
				}
				if n := inside.Add(1); n > 3 {
					t.Errorf("%d inside", n)
				}
				served.Add(1)
				inside.Add(-1)
				g.Leave()
			}
		})
	}
	all.Wait()
	if served.Load() != 4000 || g.InFlight() != 0 {
		t.Errorf("%d served, %d in flight", served.Load(), g.InFlight())
	}
}
