package hold

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	t0   = time.Unix(1000, 0)
	wide = Bounds{Requests: 1 << 20, Bytes: 1 << 40}
)

func waiter(unsafe bool) *Waiter {
	return &Waiter{Unsafe: unsafe, Held: t0.Add(time.Hour), Backend: t0.Add(time.Minute)}
}

// nobody is for those who displace nobody.
func nobody(w *Waiter, v Verdict) { panic(fmt.Sprint("displaced: ", w, v)) }

// step is the verdicts of one step.
func step(l *Line, now time.Time, g Gate) (went []*Waiter, verdicts []Verdict, wake time.Time) {
	wake = l.Step(now, g, func(w *Waiter, v Verdict) { went, verdicts = append(went, w), append(verdicts, v) })
	return went, verdicts, wake
}

func TestResumeIsPaced(t *testing.T) {
	t.Parallel()
	var l Line
	held := Gate{All: true, Ready: true, Rate: 10}
	for range 20 {
		l.Join(waiter(false), held, wide, nobody)
	}
	if went, _, _ := step(&l, t0, held); len(went) != 0 {
		t.Fatal("let go while held")
	}
	open := Gate{Ready: true, Rate: 10}
	n, now := 0, t0
	for l.Len() > 0 {
		went, _, wake := step(&l, now, open)
		n += len(went)
		if want := 1 + int(now.Sub(t0)/(100*time.Millisecond)); n != want {
			t.Fatalf("after %v %d had gone, want %d", now.Sub(t0), n, want)
		}
		if l.Len() > 0 {
			now = wake
		}
	}
}

// TestALineInFrontOfABusyPoolEnds: whoever is let go comes back at once, as clients with keep-alive do.
func TestALineInFrontOfABusyPoolEnds(t *testing.T) {
	t.Parallel()
	var l Line
	held, open := Gate{All: true, Ready: true, Rate: 10}, Gate{Ready: true, Rate: 10}
	for range 64 {
		l.Join(waiter(false), held, wide, nobody)
	}
	now := t0
	for l.Len() > 0 {
		went, _, wake := step(&l, now, open)
		for range went {
			if l.Behind(false) {
				l.Join(waiter(false), open, wide, nobody)
			}
		}
		if now.Sub(t0) > 10*time.Second {
			t.Fatalf("%d still in line", l.Len())
		}
		// A request takes a millisecond: then its client asks again.
		now = now.Add(time.Millisecond)
		if len(went) == 0 && wake.After(now) {
			now = wake
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	var l Line
	g, b := Gate{All: true, Ready: true}, Bounds{Requests: 2, Bytes: 100}
	big := waiter(true)
	big.Bytes = 90
	if l.Join(big, g, b, nobody) != Wait {
		t.Error("within bounds, refused")
	}
	more := waiter(true)
	more.Bytes = 11
	if l.Join(more, g, b, nobody) != ShedBytes {
		t.Error("too many bytes, accepted")
	}
	if l.Join(waiter(true), g, b, nobody) != Wait || l.Join(waiter(true), g, b, nobody) != ShedRequests {
		t.Error("two and no more")
	}
	if !l.Leave(big) || l.Leave(big) {
		t.Error("left not once")
	}
	if l.Join(more, g, b, nobody) != Wait {
		t.Error("room was not given back")
	}
}

// TestALineThatMovesShedsNobody: it lets its first go instead.
func TestALineThatMovesShedsNobody(t *testing.T) {
	t.Parallel()
	var l Line
	b := Bounds{Requests: 3, Bytes: 100}
	var ws []*Waiter
	for range 3 {
		ws = append(ws, waiter(false))
		l.Join(ws[len(ws)-1], Gate{All: true, Ready: true}, b, nobody)
	}
	open := Gate{Ready: true, Rate: 1}
	step(&l, t0, open)
	for range 4 {
		w := waiter(false)
		ws = append(ws, w)
		if l.Join(w, open, b, nobody) != Wait {
			t.Fatal("shed")
		}
	}
	went, _, _ := step(&l, t0, open)
	if len(went) != 3 || went[0] != ws[1] || went[2] != ws[3] || l.Len() != 3 {
		t.Errorf("%d went, %d wait", len(went), l.Len())
	}
}

func TestSafeOnesPassUnsafeOnes(t *testing.T) {
	t.Parallel()
	var l Line
	writes := Gate{Writes: true, Ready: true, Rate: 1000}
	l.Join(waiter(true), writes, wide, nobody)
	if l.Behind(false) || !l.Behind(true) {
		t.Error("with writes held, reads pass and writes do not")
	}
	none := Gate{Writes: true, Rate: 1000}
	read := waiter(false)
	l.Join(read, none, wide, nobody)
	if !l.Behind(false) {
		t.Error("a read overtakes a read")
	}
	went, v, _ := step(&l, t0, writes)
	if len(went) != 1 || went[0] != read || v[0] != Go || l.Behind(false) {
		t.Errorf("went %v %v", went, v)
	}
}

func TestAges(t *testing.T) {
	t.Parallel()
	var l Line
	w := waiter(false)
	l.Join(w, Gate{}, wide, nobody)
	if _, _, wake := step(&l, t0, Gate{}); !wake.Equal(w.Backend) {
		t.Errorf("wakes at %v", wake)
	}
	if _, _, wake := step(&l, t0, Gate{All: true}); !wake.Equal(w.Held) {
		t.Errorf("held, wakes at %v", wake)
	}
	if _, v, _ := step(&l, w.Backend, Gate{}); !slices.Equal(v, []Verdict{NoBackend}) {
		t.Errorf("got %v", v)
	}
	l.Join(w, Gate{All: true}, wide, nobody)
	if _, v, _ := step(&l, w.Held, Gate{All: true}); !slices.Equal(v, []Verdict{ShedAge}) {
		t.Errorf("got %v", v)
	}
	l.Join(w, Gate{All: true}, wide, nobody)
	if _, v, _ := step(&l, t0, Gate{Gone: true}); !slices.Equal(v, []Verdict{Go}) {
		t.Errorf("got %v", v)
	}
}

// TestLine plays joins, leaves, changes of the gate and time against a plain slice.
func TestLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var l Line
		var model []*Waiter // in the order they came
		names := map[*Waiter]int{}
		now, g := t0, Gate{Ready: true, Rate: 100}
		for n := range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1:
				w := &Waiter{Unsafe: rapid.Bool().Draw(t, "unsafe"), Held: now.Add(time.Second), Backend: now.Add(time.Second / 2)}
				names[w] = n
				full := len(model) >= 10
				if v := l.Join(w, g, Bounds{Requests: 10, Bytes: 1}, nobody); v == Wait {
					model = append(model, w)
				} else if !full || g.passes(w.Unsafe) {
					t.Fatalf("refused without need")
				}
			case 2:
				if len(model) > 0 {
					i := rapid.IntRange(0, len(model)-1).Draw(t, "leaves")
					if !l.Leave(model[i]) {
						t.Fatalf("%d is not in line", names[model[i]])
					}
					model = slices.Delete(model, i, i+1)
				}
			case 3:
				g.All, g.Writes, g.Ready = rapid.Bool().Draw(t, "all"), rapid.Bool().Draw(t, "writes"), rapid.Bool().Draw(t, "ready")
			default:
				now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "ms")) * time.Millisecond)
			}
			var back []*Waiter
			wake := l.Step(now, g, func(w *Waiter, v Verdict) {
				i := slices.Index(model, w)
				if i < 0 {
					t.Fatalf("%d went twice", names[w])
				}
				switch {
				case v == Go && !g.passes(w.Unsafe):
					t.Fatalf("%d let go through a closed gate", names[w])
				case v == ShedAge && now.Before(w.Held), v == NoBackend && now.Before(w.Backend), v == Wait:
					t.Fatalf("%d got %d too early", names[w], v)
				}
				for _, before := range model[:i] {
					if v == Go && g.passes(before.Unsafe) {
						t.Fatalf("%d overtook %d", names[w], names[before])
					}
				}
				model = slices.Delete(model, i, i+1)
				if v == Go && rapid.IntRange(0, 9).Draw(t, "in vain") == 0 {
					back = append(back, w)
				}
			})
			for _, w := range back {
				l.Rejoin(w, g)
				model = append(model, w)
			}
			slices.SortFunc(model, func(a, b *Waiter) int { return names[a] - names[b] })
			if l.Len() != len(model) || l.Behind(true) != (len(model) > 0) || len(model) == 0 && l.bytes != 0 {
				t.Fatalf("line of %d, model of %d", l.Len(), len(model))
			}
			if len(model) > 0 && len(back) == 0 && (wake.IsZero() || !wake.After(now)) {
				t.Fatalf("nobody will ever look again: %v", fmt.Sprint(wake))
			}
		}
	})
}

// BenchmarkResume is one who goes on of ten thousand who wait: the others are not looked at for it.
func BenchmarkResume(b *testing.B) {
	now := time.Unix(1_800_000_000, 0)
	g := Gate{Ready: true, Rate: 1000}
	var l Line
	for n := 0; b.Loop(); n++ {
		if l.Len() < 5000 {
			for range 10_000 {
				l.Join(&Waiter{Unsafe: n%2 == 0, Held: now.Add(time.Hour), Backend: now.Add(time.Hour)}, Gate{All: true}, Bounds{Requests: 20_000}, nil)
			}
		}
		now = now.Add(time.Millisecond)
		l.Step(now, g, func(*Waiter, Verdict) {})
	}
}
