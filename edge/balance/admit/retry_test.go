package admit

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestEveryAttempt goes through all 64 kinds and holds each against the rules it must not break, and a few against their answer.
func TestEveryAttempt(t *testing.T) {
	t.Parallel()
	for i := range 64 {
		bit := func(n int) bool { return i&(1<<n) != 0 }
		a := Attempt{Idempotent: bit(0), Sent: bit(1), Answered: bit(2), Replayable: bit(3), Reused: bit(4), Unwanted: bit(5)}
		got := a.Retry()
		switch {
		case got != Never && !a.Replayable:
			t.Errorf("%+v: retried without its body", a)
		case got != Never && a.Sent && !a.Idempotent:
			t.Errorf("%+v: sent twice, though it is not idempotent", a)
		case got != Never && a.Sent && a.Answered && !a.Unwanted:
			t.Errorf("%+v: retried although it has an answer", a)
		case got == Never && a.Replayable && !a.Sent:
			t.Errorf("%+v: given up although nothing was sent", a)
		case got == Free && a.Sent && !a.Reused:
			t.Errorf("%+v: costs a backend a second time, and nothing of the budget", a)
		}
	}
	for name, c := range map[string]struct {
		a    Attempt
		want Retry
	}{
		"POST, no connection":            {Attempt{Replayable: true}, Free},
		"POST, body read, no connection": {Attempt{}, Never},
		"POST, reset":                    {Attempt{Replayable: true, Sent: true}, Never},
		"POST, used connection closed":   {Attempt{Replayable: true, Sent: true, Reused: true}, Never},
		"GET, reset":                     {Attempt{Idempotent: true, Replayable: true, Sent: true}, Budgeted},
		"GET, used connection closed":    {Attempt{Idempotent: true, Replayable: true, Sent: true, Reused: true}, Free},
		"GET, broken within the head":    {Attempt{Idempotent: true, Replayable: true, Sent: true, Answered: true}, Never},
		"GET, 503":                       {Attempt{Idempotent: true, Replayable: true, Sent: true, Answered: true, Unwanted: true}, Budgeted},
		"GET, 503 by a used connection":  {Attempt{Idempotent: true, Replayable: true, Sent: true, Answered: true, Unwanted: true, Reused: true}, Budgeted},
		"POST, 503":                      {Attempt{Replayable: true, Sent: true, Answered: true, Unwanted: true}, Never},
	} {
		if got := c.a.Retry(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

const second = int64(time.Second)

// all spends what there is.
func all(take func() bool) (n int) {
	for take() {
		n++
	}
	return n
}

func TestBudget(t *testing.T) {
	t.Parallel()
	p := BudgetPolicy{Ratio: 0.2, Floor: 10}
	var b Budget
	for _, c := range []struct {
		at       int64
		requests int
		want     int
		why      string
	}{
		{0, 0, 100, "what the floor gives in ten seconds, at once"},
		{second, 0, 9, "the floor, less what is forgotten of it"},
		{2 * second, 1000, 199, "a fifth of the requests, and the floor"},
		{2 * second, 0, 0, "nothing passed"},
		{1002 * second, 1000, 102, "a pause is not saved up"},
		{1002 * second, 900_000, 180_000, "a burst of requests brings its fifth"},
		{1102 * second, 0, 100, "and is forgotten"},
		{1101 * second, 0, 0, "time that goes back brings nothing"},
	} {
		for range c.requests {
			b.Count()
		}
		if got := all(func() bool { return b.Retry(c.at, p) }); got < c.want-1 || got > c.want+1 {
			t.Errorf("at %d s with %d requests: %d retries, want %d: %s", c.at/second, c.requests, got, c.want, c.why)
		}
	}
	var none Budget
	for range 1_000_000 {
		none.Count()
	}
	if none.Retry(second, BudgetPolicy{}) || none.Hedge(second, p, BudgetPolicy{}) || none.Hedge(second, BudgetPolicy{}, p) {
		t.Error("attempts without a budget")
	}
}

// TestBudgetOfRules: rules with one pool share what there is, and the one that wants less of it has its end first.
func TestBudgetOfRules(t *testing.T) {
	t.Parallel()
	var b Budget
	for range 10_000 {
		b.Count()
	}
	modest, greedy := BudgetPolicy{Ratio: 0.1}, BudgetPolicy{Ratio: 0.3}
	if n := all(func() bool { return b.Retry(0, modest) }); n != 1000 {
		t.Errorf("the modest: %d", n)
	}
	if n := all(func() bool { return b.Retry(0, greedy) }); n != 2000 {
		t.Errorf("the greedy, behind it: %d", n)
	}
	if b.Retry(0, modest) {
		t.Error("the modest one has more, once the greedy has had its share")
	}
}

// TestBudgetOfHedges: they are a part of what is tried beyond the requests, and have a bound of their own in it.
func TestBudgetOfHedges(t *testing.T) {
	t.Parallel()
	var b Budget
	for range 10_000 {
		b.Count()
	}
	p, h := BudgetPolicy{Ratio: 0.2}, BudgetPolicy{Ratio: 0.05}
	if n := all(func() bool { return b.Hedge(0, p, h) }); n != 500 {
		t.Errorf("%d hedges", n)
	}
	if n := all(func() bool { return b.Retry(0, p) }); n != 1500 {
		t.Errorf("%d retries beside them", n)
	}
	if b.Hedge(0, p, BudgetPolicy{Ratio: 1}) {
		t.Error("a hedge, though nothing is left for any attempt")
	}
}

// TestBudgetBounds: whatever comes when, there are never more retries than the ratio of all requests, the floor of all time, and
// the one window that may be spent at once.
func TestBudgetBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := BudgetPolicy{Ratio: rapid.Float64Range(0, 1).Draw(t, "ratio"), Floor: rapid.Float64Range(0, 50).Draw(t, "floor")}
		var b Budget
		var now int64
		var requests, retries, hedges float64
		h := BudgetPolicy{Ratio: p.Ratio / 2, Floor: p.Floor / 2}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, 30*second).Draw(t, "pause")
			for range rapid.IntRange(0, 500).Draw(t, "requests") {
				b.Count()
				requests++
			}
			for range rapid.IntRange(0, 300).Draw(t, "asked") {
				if b.Retry(now, p) {
					retries++
				}
				if b.Hedge(now, p, h) {
					retries++
					hedges++
				}
			}
			seconds := float64(now)/1e9 + 10
			if most := p.Ratio*requests + p.Floor*seconds; retries > most+1e-6 {
				t.Fatalf("%v retries, at most %v are in the budget", retries, most)
			}
			if most := h.Ratio*requests + h.Floor*seconds; hedges > most+1e-6 {
				t.Fatalf("%v hedges, at most %v are in the budget", hedges, most)
			}
		}
	})
}

func TestBudgetOfMany(t *testing.T) {
	t.Parallel()
	var b Budget
	var got atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if b.Retry(0, BudgetPolicy{Floor: 10}) {
					got.Add(1)
				}
			}
		})
	}
	all.Wait()
	if got.Load() != 100 {
		t.Errorf("%d retries of a budget of 100", got.Load())
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s     Shares
		bound int64
		p     Priority
		want  int64
	}{
		{Shares{}, 100, Normal, 100}, {Shares{}, 100, High, 100}, {Shares{}, 100, Low, 50}, {Shares{Normal: 80, Low: 20}, 10, Normal, 8},
		{Shares{Normal: 80, Low: 20}, 10, Low, 2}, {Shares{Normal: 80}, 10, High, 10}, {Shares{}, 1, Low, 1}, {Shares{}, 0, High, 0},
		{Shares{}, math.MaxInt32, Low, math.MaxInt32 / 2},
	} {
		if got := c.s.Of(c.bound, c.p); got != c.want {
			t.Errorf("%+v of %d for %d: %d, want %d", c.s, c.bound, c.p, got, c.want)
		}
	}
	// Under load the low stay out while the others come in.
	var l Limit
	var in [3]int
	for range 100 {
		for _, p := range []Priority{Normal, High, Low} {
			if l.Enter(Shares{Normal: 80}.Of(30, p)) {
				in[p]++
			}
		}
	}
	if in[Low] != 5 || in[Normal]+in[High]+in[Low] != 30 || in[High] <= in[Normal] {
		t.Errorf("let in %v", in)
	}
}
