package admit

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const millisecond = int64(time.Millisecond)

// line is a queue with what it has told, for tests in one goroutine.
type line struct {
	*Queue[int]
	l    Limit
	most int64
	told []string
	next int64
}

func newLine(most int64, p QueuePolicy) *line { return &line{Queue: NewQueue[int](p), most: most} }

func (q *line) tell(w *Waiter[int], v Verdict) {
	q.told = append(q.told, map[Verdict]string{Go: "go", Shed: "shed", Late: "late"}[v]+" "+string(rune('a'+w.Value)))
}

// enter is request i.
func (q *line) enter(now int64, i int) (Verdict, *Waiter[int]) {
	if q.l.Enter(q.most) {
		return Go, nil
	}
	w := &Waiter[int]{Value: i}
	return q.Enter(now, &q.l, q.most, w, math.MaxInt64, q.tell), w
}

func (q *line) step(now int64) { q.next = q.Step(now, &q.l, q.most, q.tell) }

func (q *line) leave(now int64) {
	if q.l.Leave() {
		q.step(now)
	}
}

func (q *line) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(q.told, want) {
		t.Errorf("told %q, want %q", q.told, want)
	}
	q.told = nil
}

func TestLimit(t *testing.T) {
	t.Parallel()
	var l Limit
	for range 3 {
		if !l.Enter(3) {
			t.Fatal("refused with room")
		}
	}
	if l.Enter(3) || l.InFlight() != 3 {
		t.Errorf("let in a fourth; %d in flight", l.InFlight())
	}
	if !l.Enter(4) {
		t.Error("the bound has risen, and nobody comes in")
	}
	if l.Leave() || l.Enter(3) {
		t.Error("one has left of four, and a bound of three has room")
	}
}

func TestQueueIsFirstInFirstOut(t *testing.T) {
	t.Parallel()
	q := newLine(1, QueuePolicy{Length: 3})
	for i, want := range []Verdict{Go, Wait, Wait, Wait, Shed} {
		if got, _ := q.enter(0, i); got != want {
			t.Errorf("request %d: %d, want %d", i, got, want)
		}
	}
	for range 4 {
		q.leave(millisecond)
	}
	q.expect(t, "go b", "go c", "go d")
	if got, _ := q.enter(millisecond, 5); got != Go || q.l.InFlight() != 1 {
		t.Errorf("after the queue is empty: %d, %d in flight", got, q.l.InFlight())
	}
}

func TestNobodyOvertakesTheQueue(t *testing.T) {
	t.Parallel()
	q := newLine(1, QueuePolicy{Length: 5})
	q.enter(0, 0)
	q.enter(0, 1)
	q.l.Leave() // the step is still to come
	if got, _ := q.enter(0, 2); got != Wait {
		t.Errorf("%d, want it to wait behind the other", got)
	}
	q.step(0)
	q.expect(t, "go b")
}

// TestQueueInAnOverload: after 100 ms that it was never empty, the newest go first, the oldest make room or are late.
func TestQueueInAnOverload(t *testing.T) {
	t.Parallel()
	q := newLine(1, QueuePolicy{Length: 3, Target: 20 * time.Millisecond})
	q.enter(0, 0)
	for i := range 3 {
		q.enter(int64(i)*30*millisecond, 1+i) // b at 0, c at 30, d at 60 ms
	}
	if q.Overloaded(99*millisecond) || !q.Overloaded(100*millisecond) {
		t.Error("an overload begins after 100 ms")
	}
	if got, _ := q.enter(95*millisecond, 4); got != Shed {
		t.Error("a burst sheds the newest")
	}
	if got, _ := q.enter(100*millisecond, 5); got != Wait {
		t.Error("an overload lets the newest wait")
	}
	q.expect(t, "shed b")
	q.enter(105*millisecond, 6)
	q.expect(t, "shed c")
	q.leave(106 * millisecond)
	q.expect(t, "late d", "go g")
	if q.next != 120*millisecond {
		t.Errorf("next step at %d ms, want 120, when f is late", q.next/millisecond)
	}
	q.step(120 * millisecond)
	q.expect(t, "late f")
	if q.next != math.MaxInt64 || q.Overloaded(time.Hour.Nanoseconds()) {
		t.Error("an empty queue is not overloaded")
	}
	q.enter(time.Hour.Nanoseconds(), 7)
	if q.Overloaded(time.Hour.Nanoseconds() + 50*millisecond) {
		t.Error("a queue that was empty since is a burst again")
	}
}

func TestQueueThatNobodyLeavesEnds(t *testing.T) {
	t.Parallel()
	q := newLine(1, QueuePolicy{Length: 9, MaxWait: 50 * time.Millisecond})
	q.enter(0, 0)
	q.enter(millisecond, 1)
	_, gone := q.enter(2*millisecond, 2)
	q.enter(3*millisecond, 3)
	if !q.Remove(gone, &q.l) || q.Remove(gone, &q.l) {
		t.Error("a waiter leaves once")
	}
	q.step(51 * millisecond)
	q.expect(t, "late b")
	q.step(q.next)
	q.expect(t, "late d")
	if q.next != math.MaxInt64 || q.Len() != 0 {
		t.Errorf("%d left, next at %d", q.Len(), q.next)
	}
	q.l.Leave()
	if got, _ := q.enter(60*millisecond, 4); got != Go {
		t.Error("the queue is empty, and the way not free")
	}
}

func TestTheLastWhoGivesUpLeavesNoTrace(t *testing.T) {
	t.Parallel()
	q := newLine(1, QueuePolicy{Length: 9})
	q.enter(0, 0)
	_, w := q.enter(0, 1)
	q.Remove(w, &q.l)
	if q.l.Leave() {
		t.Error("told to step, though nobody waits")
	}
}

func TestNoQueueByDefault(t *testing.T) {
	t.Parallel()
	q := newLine(1, QueuePolicy{})
	q.enter(0, 0)
	if got, _ := q.enter(0, 1); got != Shed {
		t.Errorf("%d", got)
	}
	q.leave(0)
	if got, _ := q.enter(0, 2); got != Go {
		t.Errorf("%d after one has left", got)
	}
}

func TestLowPriorityGetsLessRoom(t *testing.T) {
	t.Parallel()
	q := NewQueue[int](QueuePolicy{Length: 4})
	var l Limit
	l.Enter(1)
	tell := func(*Waiter[int], Verdict) { t.Error("somebody is told something") }
	for i, p := range []Priority{Low, Low, Low, Normal, Low, Normal, Normal} {
		got := q.Enter(0, &l, 1, new(Waiter[int]), Shares{}.Of(4, p), tell)
		if want := []Verdict{Wait, Wait, Shed, Wait, Shed, Wait, Shed}[i]; got != want {
			t.Errorf("request %d: %d, want %d", i, got, want)
		}
	}
}

// TestQueueModel compares with lists and counts, over any order of events.
func TestQueueModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := QueuePolicy{Length: rapid.IntRange(0, 4).Draw(t, "length"), MaxWait: 300 * time.Millisecond, Interval: 100 * time.Millisecond, Target: 40 * time.Millisecond}
		q := newLine(rapid.Int64Range(1, 3).Draw(t, "most"), p)
		var now, inFlight int64
		var waiting []*Waiter[int]
		verdicts := map[*Waiter[int]]Verdict{}
		tell := func(w *Waiter[int], v Verdict) {
			if _, twice := verdicts[w]; twice || !slices.Contains(waiting, w) {
				t.Fatal("told twice, or one that does not wait")
			}
			if verdicts[w] = v; v == Go {
				inFlight++
			}
			if v == Late && now-w.since < int64(p.Target) {
				t.Fatal("late before the target")
			}
			waiting = slices.DeleteFunc(waiting, func(o *Waiter[int]) bool { return o == w })
		}
		for range rapid.IntRange(1, 80).Draw(t, "events") {
			now += rapid.Int64Range(0, 30*millisecond).Draw(t, "pause")
			switch event := rapid.IntRange(0, 3).Draw(t, "event"); {
			case event <= 1:
				if q.l.Enter(q.most) {
					inFlight++
					break
				}
				w := new(Waiter[int])
				before := slices.Clone(waiting)
				waiting = append(waiting, w)
				switch q.Queue.Enter(now, &q.l, q.most, w, math.MaxInt64, tell) {
				case Go:
					t.Fatal("let in, though Limit.Enter refused in the same moment")
				case Shed:
					waiting = before
					if len(before) < p.Length {
						t.Fatal("shed with room to wait")
					}
				}
			case event == 2 && inFlight > 0:
				inFlight--
				if q.l.Leave() {
					q.Queue.Step(now, &q.l, q.most, tell)
				}
			case event == 3 && len(waiting) > 0:
				i := rapid.IntRange(0, len(waiting)-1).Draw(t, "who")
				if !q.Remove(waiting[i], &q.l) {
					t.Fatal("who waits can leave")
				}
				waiting = slices.Delete(waiting, i, i+1)
			}
			if q.Len() != len(waiting) || q.Len() > p.Length || q.l.InFlight() != inFlight || inFlight > q.most {
				t.Fatalf("%d of %d wait, %d of %d in flight, at most %d and %d", q.Len(), len(waiting), q.l.InFlight(), inFlight, p.Length, q.most)
			}
			if len(waiting) > 0 && inFlight < q.most {
				t.Fatal("somebody waits for nothing")
			}
		}
	})
}

// TestQueueOfMany has requests of many goroutines at one limit: never more than the bound in flight, and none is forgotten.
func TestQueueOfMany(t *testing.T) {
	t.Parallel()
	const most, requests = 2, 3000
	var l Limit
	var mu sync.Mutex // guards q
	q := NewQueue[chan Verdict](QueuePolicy{Length: 100, MaxWait: time.Hour, Target: time.Hour})
	tell := func(w *Waiter[chan Verdict], v Verdict) { w.Value <- v }
	var now, inside, served atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range requests / 8 {
				if !l.Enter(most) {
					w := &Waiter[chan Verdict]{Value: make(chan Verdict, 1)}
					mu.Lock()
					v := q.Enter(now.Add(1000), &l, most, w, math.MaxInt64, tell)
					mu.Unlock()
					if v == Wait {
						v = <-w.Value
					}
					if v != Go {
						t.Errorf("verdict %d with room for all", v)
						return
					}
				}
				if n := inside.Add(1); n > most {
					t.Errorf("%d in flight", n)
				}
				served.Add(1)
				inside.Add(-1)
				if l.Leave() {
					mu.Lock()
					q.Step(now.Add(1000), &l, most, tell)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if served.Load() != requests || l.InFlight() != 0 || q.Len() != 0 {
		t.Errorf("%d served, %d in flight, %d wait", served.Load(), l.InFlight(), q.Len())
	}
}
