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

func TestBudget(t *testing.T) {
	t.Parallel()
	spend := func(b *Budget, now int64, requests uint64) (n int) {
		for b.Take(now, requests) {
			n++
		}
		return n
	}
	b := NewBudget(BudgetPolicy{}, 0)
	for _, c := range []struct {
		at       int64
		requests uint64
		want     int
		why      string
	}{
		{0, 0, 100, "what the floor gives in a window, at once"},
		{second, 0, 10, "the floor"},
		{2 * second, 1000, 210, "a fifth of the requests, and the floor"},
		{2 * second, 1000, 0, "nothing passed"},
		{1002 * second, 1000, 100, "a pause is not saved up"},
		{1004 * second, 901_000, 180_020, "a burst of requests brings its fifth"},
		{1104 * second, 1_001_000, 2100, "of a long time counts what one window of it brought"},
		{1103 * second, 1_000_000, 0, "time and requests that go back bring nothing"},
	} {
		if got := spend(b, c.at, c.requests); got != c.want {
			t.Errorf("at %d s with %d requests: %d retries, want %d: %s", c.at/second, c.requests, got, c.want, c.why)
		}
	}
	if spend(NewBudget(BudgetPolicy{Ratio: -1, Floor: -1}, 0), second, 1_000_000) != 0 {
		t.Error("retries without a budget")
	}
}

// TestBudgetBounds: whatever comes when, there are never more retries than the ratio of all requests, the floor of all time, and
// the one window that may be spent at once.
func TestBudgetBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := BudgetPolicy{Ratio: rapid.Float64Range(0.01, 1).Draw(t, "ratio"), Floor: rapid.Float64Range(0.1, 50).Draw(t, "floor")}
		b := NewBudget(p, 0)
		var now int64
		var requests uint64
		var retries float64
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, 30*second).Draw(t, "pause")
			requests += rapid.Uint64Range(0, 500).Draw(t, "requests")
			for range rapid.IntRange(0, 300).Draw(t, "asked") {
				if b.Take(now, requests) {
					retries++
				}
			}
			if most := p.Ratio*float64(requests) + p.Floor*(float64(now)/1e9+10); retries > most+1e-6 {
				t.Fatalf("%v retries, at most %v are in the budget", retries, most)
			}
		}
	})
}

func TestBudgetOfMany(t *testing.T) {
	t.Parallel()
	b := NewBudget(BudgetPolicy{}, 0)
	var got atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if b.Take(0, 0) {
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

func TestHedge(t *testing.T) {
	t.Parallel()
	get := Attempt{Idempotent: true, Replayable: true, Sent: true}
	for name, c := range map[string]struct {
		h       Hedge
		a       Attempt
		hedges  int
		samples int
		want    time.Duration // 0: none
	}{
		"after the 95th percentile": {Hedge{Most: 1}, get, 0, 100, 40 * time.Millisecond},
		"never sooner than that":    {Hedge{Most: 1, MinDelay: time.Second}, get, 0, 100, time.Second},
		"not by default":            {Hedge{}, get, 0, 100, 0},
		"not oftener":               {Hedge{Most: 1}, get, 1, 100, 0},
		"not without knowing":       {Hedge{Most: 1}, get, 0, 99, 0},
		"not a POST":                {Hedge{Most: 1}, Attempt{Replayable: true}, 0, 100, 0},
		"not without its body":      {Hedge{Most: 1}, Attempt{Idempotent: true}, 0, 100, 0},
		"not when it is answered":   {Hedge{Most: 1}, Attempt{Idempotent: true, Replayable: true, Answered: true}, 0, 100, 0},
	} {
		got, ok := c.h.Delay(c.a, c.hedges, 40*time.Millisecond, c.samples)
		if got != c.want || ok != (c.want > 0) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	b := NewBudget(HedgeBudget(), 0)
	n := 0
	for b.Take(second, 10_000) {
		n++
	}
	if n != 500+10 {
		t.Errorf("%d hedges of 10,000 requests", n)
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
