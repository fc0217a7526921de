package main

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper/bench/rig"
	"semper/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTheBooksTellWhatIsWrong with each kind of entry that may be.
func TestTheBooksTellWhatIsWrong(t *testing.T) {
	t.Parallel()
	a, b := queue.NewID(time.Unix(1_800_000_000, 0)), queue.NewID(time.Unix(1_800_000_000, 0))
	good := func() *book {
		return &book{
			accepted: map[queue.ID]string{a: "1", b: "2"}, ends: map[queue.ID][]queue.State{a: {queue.Done}, b: {queue.Done}},
			effects: map[queue.ID]int{a: 1, b: 2}, keys: map[string]map[queue.ID]bool{"1": {a: true}, "2": {b: true}}, once: 2,
		}
	}
	if f := good().check(); len(f) > 0 {
		t.Errorf("a job that ran twice, as it may: %v", f)
	}
	for want, spoil := range map[string]func(*book){
		"stands in 0 final states":  func(k *book) { delete(k.ends, a) },
		"stands in 2 final states":  func(k *book) { k.ends[a] = []queue.State{queue.Done, queue.Dead} },
		"and is dead":               func(k *book) { k.ends[b] = []queue.State{queue.Dead} },
		"had no effect":             func(k *book) { delete(k.effects, b) },
		"nobody was told of it":     func(k *book) { delete(k.accepted, a); k.once = 1 },
		"the key 1 gave 2 jobs":     func(k *book) { k.keys["1"][b] = true },
		"3 keys had an effect, and": func(k *book) { k.once = 3 },
	} {
		k := good()
		spoil(k)
		if f := k.check(); len(f) != 1 || !strings.Contains(f[0], want) {
			t.Errorf("found %q, want one that says %q", f, want)
		}
	}
}

// TestEverythingIsKilled sooner or later, the same for the same seed.
func TestEverythingIsKilled(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) map[string]int {
		r, all := rand.New(rand.NewPCG(seed, 0)), map[string]int{} //nolint:gosec // choices, no secrets
		for range 500 {
			what, after := choose(r, time.Second)
			if after < 0 || after >= time.Second {
				t.Errorf("after %v", after)
			}
			all[what]++
		}
		return all
	}
	all, again := draw(7), draw(7)
	for _, k := range []rig.Kind{rig.Store, rig.Control, rig.Edge, rig.Queue, rig.Instance, rig.Keeper, everything} {
		if all[string(k)] == 0 || all[string(k)] != again[string(k)] {
			t.Errorf("%s: %d and %d of 500", k, all[string(k)], again[string(k)])
		}
	}
}
