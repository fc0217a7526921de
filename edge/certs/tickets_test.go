package certs

import (
	"crypto/tls"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func key(n byte) (k [32]byte) { k[0] = n; return k }

func TestRotate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	keys, changed := rotate(nil, now, key(1))
	if !changed || len(keys) != 1 || keys[0].Key != key(1) || !keys[0].From.Equal(now) {
		t.Fatalf("at first %v", keys)
	}
	if again, changed := rotate(keys, now.Add(TicketPeriod-ticketLead-1), key(2)); changed || len(again) != 1 {
		t.Errorf("too early: %v", again)
	}
	keys, changed = rotate(keys, now.Add(TicketPeriod-ticketLead), key(2))
	if !changed || len(keys) != 2 || keys[0].Key != key(2) || !keys[0].From.Equal(now.Add(TicketPeriod)) {
		t.Fatalf("then %v", keys)
	}
	for at, want := range map[time.Duration][]byte{
		TicketPeriod - 1: {1, 2}, // the new one is there to decrypt what another edge, whose clock is ahead, gave
		TicketPeriod:     {2, 1},
	} {
		if got := arrange(keys, now.Add(at)); got[0] != key(want[0]) || got[1] != key(want[1]) {
			t.Errorf("after %v: %v", at, got)
		}
	}
	keys, _ = rotate(keys, now.Add(TicketLife), key(3))
	if slices.ContainsFunc(keys, func(k ticketKey) bool { return k.Key == key(1) }) {
		t.Errorf("a key outlives its time: %v", keys)
	}
	// After a long sleep there is a new one at once; a key from a clock far ahead is dropped.
	if keys, _ = rotate(keys, now.Add(100*TicketLife), key(4)); len(keys) != 1 || keys[0].Key != key(4) {
		t.Errorf("after a sleep %v", keys)
	}
	if keys, _ = rotate(keys, now, key(5)); len(keys) != 1 || keys[0].Key != key(5) {
		t.Errorf("after a clock was set back %v", keys)
	}
}

// TestRotation: edges that look every now and then, one after the other, never give a ticket under a key that another has
// not got yet, as long as they look once within the lead; and each keeps to the time a key may be used.
func TestRotation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		var shared []ticketKey
		made := map[[32]byte]time.Time{}
		n := byte(0)
		edges := make([][]ticketKey, 3)
		for step := range 300 {
			n++
			i := step % 3
			var changed bool
			shared, changed = rotate(shared, now, func() [32]byte { k := key(n); k[1] = byte(step >> 8); return k }())
			if changed && len(shared) > 0 {
				made[shared[0].Key] = shared[0].From
			}
			edges[i] = shared
			current := arrange(edges[i], now)[0]
			if age := now.Sub(made[current]); age < 0 || age > TicketPeriod+ticketLead {
				t.Fatalf("encrypts with a key of age %v", age)
			}
			for j, other := range edges {
				if len(other) > 0 && step > 3 && !slices.ContainsFunc(other, func(k ticketKey) bool { return k.Key == current }) {
					t.Fatalf("edge %d cannot read what edge %d gives", j, i)
				}
			}
			if len(shared) > 6 {
				t.Fatalf("%d keys", len(shared))
			}
			now = now.Add(time.Duration(rapid.IntRange(1, int(ticketLead/3/time.Second)).Draw(t, "pause")) * time.Second)
		}
	})
}

// TestResumption: on the same edge, on its successor after an upgrade, on another edge beside it; not on a stranger.
func TestResumption(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		dir := t.TempDir()
		client := &tls.Config{InsecureSkipVerify: true, ServerName: "a", ClientSessionCache: tls.NewLRUClientSessionCache(4), MaxVersion: version}
		connect := func(m *Manager) bool {
			state, _, err := handshake(t, m, client)
			if err != nil {
				t.Fatal(err)
			}
			return state.DidResume
		}
		first := start(t, Options{Dir: dir})
		beside := start(t, Options{Dir: dir})
		if connect(first) {
			t.Error("resumed out of nothing")
		}
		if !connect(first) || !connect(beside) {
			t.Error("not resumed")
		}
		first.Close()
		if !connect(start(t, Options{Dir: dir})) {
			t.Error("not resumed after an upgrade")
		}
		if connect(start(t, Options{Dir: t.TempDir()})) {
			t.Error("resumed by a stranger")
		}
	}
}

// TestBrokenTickets are made anew, and everybody goes by those.
func TestBrokenTickets(t *testing.T) {
	t.Parallel()
	s := File{Dir: t.TempDir()}
	if err := s.Store(t.Context(), ticketsKey, []byte("{")); err != nil {
		t.Fatal(err)
	}
	a, err := shareTickets(t.Context(), s, nil, time.Now())
	if err != nil || len(a) != 1 {
		t.Fatalf("%v, %v", a, err)
	}
	b, err := shareTickets(t.Context(), s, nil, time.Now())
	if err != nil || len(b) != 1 || b[0].Key != a[0].Key {
		t.Errorf("%v, %v", b, err)
	}
}
