package backlog

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"semper/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

// check holds the invariants of the package's doc against b.
func check(t *rapid.T, b *Backlog, now time.Time) {
	var late, dead_, active, waits int
	var bytes int64
	busy := map[*lane]int{}
	for _, e := range b.jobs {
		bytes += e.Size
		late += e.isLate()
		switch e.state {
		case waiting:
			waits++
			if e.inLane == 0 && e.inTime == 0 && (e.Expires.IsZero() || e.Expires.After(now)) {
				t.Fatalf("%s waits nowhere", e.ID)
			}
			if !e.Expires.IsZero() && e.inTTL == 0 {
				t.Fatalf("%s cannot expire", e.ID)
			}
		case picked, running:
			active++
			busy[e.lane]++
			if e.lane != b.free && b.lanes[e.lane.key] != e.lane {
				t.Fatalf("%s runs in a lane that those of its key do not wait for", e.ID)
			}
			if e.inLane != 0 || e.inTTL != 0 || e.inAge != 0 || (e.inTime != 0) != (e.state == running) {
				t.Fatalf("%s runs and stands elsewhere too: %+v", e.ID, e)
			}
		case dead:
			dead_++
			if e.inLane != 0 || e.inTime != 0 || e.inTTL != 0 || e.inAge != 0 {
				t.Fatalf("%s is dead and stands somewhere: %+v", e.ID, e)
			}
		}
	}
	for s := range b.seats {
		busy[s.lane]++
		if s.lane != b.free && b.lanes[s.lane.key] != s.lane {
			t.Fatalf("%s has a place in a lane that those of its key do not wait for", s.job.ID)
		}
	}
	if late != b.late || dead_ != b.dead || active != b.active || bytes != b.bytes {
		t.Fatalf("counted late %d, dead %d, active %d, bytes %d; kept %d, %d, %d, %d", late, dead_, active, bytes, b.late, b.dead, b.active, b.bytes)
	}
	s := b.Stats(now)
	if s.Queued+s.Delayed != waits || s.Queued < 0 {
		t.Fatalf("%d wait, stats %+v", waits, s)
	}
	lanes := []*lane{b.free}
	for _, l := range b.lanes {
		lanes = append(lanes, l)
	}
	for _, l := range lanes {
		head, ok := l.jobs.first()
		may := ok && !head.At.After(now) && (l.width == 0 || l.running < l.width)
		if may != (l.inOpen != 0) || busy[l] != l.running {
			t.Fatalf("lane %q: may start %t, open %t; %d run, kept %d", l.key, may, l.inOpen != 0, busy[l], l.running)
		}
		if l.empty() && l != b.free {
			t.Fatalf("lane %q is empty and kept", l.key)
		}
	}
	heaped(t, "open", b.open)
	heaped(t, "times", b.times)
	heaped(t, "leases", b.leases)
	heaped(t, "ttl", b.ttl)
	heaped(t, "ages", b.ages)
}

func heaped[T any](t *rapid.T, name string, h heap[T]) {
	for i, x := range h.items {
		if int(*h.at(x)) != i+1 || i > 0 && h.less(x, h.items[(i-1)/2]) {
			t.Fatalf("%s is no heap at %d", name, i)
		}
	}
}

// TestInvariants does anything to a backlog, also what no engine would, and looks at it after each step.
func TestInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := epoch
		b := New(policy(t))
		var ids []queue.ID
		seats := map[*Seat]queue.ID{}
		any_ := func() queue.ID {
			if len(ids) == 0 {
				return queue.ID{}
			}
			return rapid.SampledFrom(ids).Draw(t, "id")
		}
		soon := func(name string) time.Time {
			if d := rapid.IntRange(-2, 5).Draw(t, name); d > -2 {
				return now.Add(time.Duration(d) * time.Second)
			}
			return time.Time{}
		}
		acts := map[string]func(){
			"add": func() {
				id := queue.NewID(now)
				ids = append(ids, id)
				b.Add(Entry{ID: id, Revision: int64(len(ids)), Key: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key"), Size: 10,
					Priority: int8(rapid.IntRange(-1, 1).Draw(t, "priority")), Accepted: now, At: soon("at"), Expires: soon("expires")}, now)
			},
			"next": func() {
				for _, e := range b.Next(now, rapid.IntRange(1, 4).Draw(t, "n")) {
					if rapid.Bool().Draw(t, "written") {
						b.Started(e.ID, 1, now.UnixNano(), now.Add(2*time.Second), now)
					}
				}
			},
			"seat": func() {
				e := Entry{ID: queue.NewID(now), Key: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key"), Size: 10, Expires: soon("expires")}
				running := b.active + len(b.seats)
				s := b.Seat(e, now)
				if s == nil {
					return
				}
				seats[s] = e.ID
				if b.open.len() > 0 || b.policy.Running > 0 && running >= b.policy.Running || b.policy.PerKey > 0 && e.Key != "" && s.lane.running > b.policy.PerKey {
					t.Fatalf("a new job of %q may start with %d running under %+v", e.Key, running, b.policy)
				}
			},
			"sit": func() {
				for s, id := range seats {
					if rapid.Bool().Draw(t, "performed") {
						ids = append(ids, id)
						b.Add(Entry{ID: id, Revision: int64(len(ids)), Key: s.job.Key, Size: 10, Accepted: now}, now)
						b.Started(id, 1, now.UnixNano(), now.Add(2*time.Second), now)
					}
					b.Leave(s, now)
					delete(seats, s)
					break
				}
			},
			"back":    func() { b.Back(any_(), rapid.IntRange(0, 2).Draw(t, "attempt"), soon("due"), now) },
			"bury":    func() { b.Bury(any_(), 1, now) },
			"remove":  func() { b.Remove(any_(), now) },
			"started": func() { b.Started(any_(), 1, 7, soon("ends"), now) },
			"extend":  func() { b.Extend(any_(), 7, soon("ends")) },
			"time":    func() { now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "gone")) * time.Second); b.Due(now) },
			"policy":  func() { b.SetPolicy(policy(t), now) },
			"overdue": func() {
				for _, e := range b.Overdue(now, 10) {
					b.Back(e.ID, int(e.Attempt), now.Add(time.Second), now)
				}
				for _, e := range b.Expired(now, 10) {
					b.Remove(e.ID, now)
				}
			},
		}
		names := []string{"add", "add", "add", "next", "next", "seat", "seat", "sit", "back", "bury", "remove", "started", "extend", "time", "policy", "overdue"}
		for range 60 {
			acts[rapid.SampledFrom(names).Draw(t, "act")]()
			check(t, b, now)
		}
	})
}

func policy(t *rapid.T) queue.Policy {
	return queue.Policy{
		Order:   rapid.SampledFrom([]queue.Order{queue.OrderNone, queue.OrderKey, queue.OrderStrict}).Draw(t, "order"),
		Running: rapid.IntRange(0, 3).Draw(t, "running"), PerKey: rapid.IntRange(0, 2).Draw(t, "per key"),
		Rate: float64(rapid.IntRange(0, 2).Draw(t, "rate")),
	}
}

// TestWakeIsSoonEnough: between now and Wake nothing becomes due, and at Wake something does.
// A job that waits for its next attempt counts among those of its key, however late it comes.
func TestABoundOfAKeyHoldsOverABackOff(t *testing.T) {
	t.Parallel()
	b := New(queue.Policy{Order: queue.OrderNone, PerKey: 1})
	first, second := queue.NewID(epoch), queue.NewID(epoch)
	b.Add(Entry{ID: first, Key: "a", Revision: 1}, epoch)
	if got := b.Next(epoch, 2); len(got) != 1 || got[0].ID != first {
		t.Fatalf("%v", got)
	}
	b.Back(first, 1, epoch.Add(time.Second), epoch)
	b.Add(Entry{ID: second, Key: "a", Revision: 2}, epoch)
	if got := b.Next(epoch.Add(time.Second), 2); len(got) != 1 || got[0].ID != first {
		t.Errorf("%d of key a start at once, where one may", len(got))
	}
}

func TestWakeIsSoonEnough(t *testing.T) {
	t.Parallel()
	b := New(queue.Policy{Rate: 1, Burst: 1})
	if at := b.Wake(epoch); !at.IsZero() {
		t.Errorf("an empty backlog wakes at %s", at)
	}
	add := func(n byte, at, expires time.Duration) queue.ID {
		id := queue.ID{n}
		e := Entry{ID: id, Revision: int64(n), At: epoch.Add(at)}
		if expires > 0 {
			e.Expires = epoch.Add(expires)
		}
		b.Add(e, epoch)
		return id
	}
	add(1, 0, 0)
	add(2, 0, 0)
	add(3, 0, 700*time.Millisecond)
	if got := len(b.Next(epoch, 5)); got != 1 {
		t.Fatalf("%d start under a burst of 1", got)
	}
	b.Started(queue.ID{1}, 1, 9, epoch.Add(400*time.Millisecond), epoch)
	now := epoch
	for _, want := range []time.Duration{400 * time.Millisecond, 700 * time.Millisecond, time.Second} {
		now = b.Wake(now)
		if now.Sub(epoch).Round(time.Millisecond) != want {
			t.Fatalf("it wakes after %s, want %s", now.Sub(epoch), want)
		}
		for _, e := range b.Overdue(now, 1) {
			b.Bury(e.ID, 1, now)
		}
		for _, e := range b.Expired(now, 1) {
			b.Remove(e.ID, now)
		}
	}
	if got := b.Next(now, 5); len(got) != 1 || got[0].ID != (queue.ID{2}) {
		t.Errorf("%v start after a second under a rate of 1", got)
	}
}

// TestNobodyStarves: with more lanes than places, each gets its turn.
func TestNobodyStarves(t *testing.T) {
	t.Parallel()
	b := New(queue.Policy{Order: queue.OrderKey, Running: 1})
	const lanes, each = 20, 5
	for i := range lanes * each {
		b.Add(Entry{ID: queue.ID{byte(i)}, Revision: int64(i), Key: fmt.Sprint(i % lanes)}, epoch)
	}
	for i := range lanes * each {
		e := b.Next(epoch, 1)[0]
		if e.Revision != int64(i) {
			t.Fatalf("start %d is of %d", i, e.Revision)
		}
		b.Remove(e.ID, epoch)
	}
}

func BenchmarkAddNextRemove(b *testing.B) {
	q := New(queue.Policy{})
	for i := range 200_000 {
		q.Add(Entry{ID: queue.NewID(epoch), Revision: int64(i)}, epoch)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e := q.Next(epoch, 1)[0]
		q.Started(e.ID, 1, 1, epoch.Add(time.Second), epoch)
		q.Remove(e.ID, epoch)
		q.Add(Entry{ID: queue.NewID(epoch), Revision: int64(200_000 + i)}, epoch)
	}
}
