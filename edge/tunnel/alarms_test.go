package tunnel

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestAlarmsAreInOrder however they are set, put off and dropped.
func TestAlarmsAreInOrder(t *testing.T) {
	t.Parallel()
	k := newTunnels(nil)
	const n = 300
	tunnels, want := make([]Tunnel, n), make(map[*Tunnel]instant)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	later := k.instant(time.Now().Add(time.Hour))
	for range 20_000 {
		tun := &tunnels[random.IntN(n)]
		_, planned := want[tun]
		if random.IntN(3) == 0 {
			if k.alarms.drop(tun) != planned {
				t.Fatal("dropped what was not planned, or not what was")
			}
			delete(want, tun)
			continue
		}
		at := later + instant(random.IntN(1000))
		if k.alarms.set(tun, at) == planned {
			t.Fatal("planned twice, or not at all")
		}
		want[tun] = at
	}
	if len(k.alarms.heap) != len(want) {
		t.Fatalf("%d alarms, want %d", len(k.alarms.heap), len(want))
	}
	var before instant
	for len(k.alarms.heap) > 0 {
		first := k.alarms.heap[0]
		if first.at < before || first.at != want[first.of] {
			t.Fatalf("the next is at %d, after %d, and was planned for %d", first.at, before, want[first.of])
		}
		before = first.at
		if !k.alarms.drop(first.of) || first.of.bell != 0 {
			t.Fatal("not dropped")
		}
	}
	k.Close() // which waits for the timer, if it was not stopped
}
