package loop

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever is armed, put off, brought forward and removed: a timer is due at the first look at or after its deadline and
// a tick, once, and never before it; and next never lets one sleep over that.
func TestWheel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var w wheel
		now := int64(0)
		owners := make([]endpoint, 8)
		want := make([]int64, len(owners)) // the deadline; 0: none
		for i := range owners {
			owners[i].timer = timer{owner: &owners[i], slot: -1}
			owners[i].fd = i
		}
		look := func() {
			w.expire(now, func(e *endpoint) {
				if at := want[e.fd]; at == 0 || at > now {
					t.Fatalf("%d is due at %d, want %d", e.fd, now, at)
				}
				want[e.fd] = 0
			})
			for i, at := range want {
				if at != 0 && at+2*tick <= now {
					t.Fatalf("%d was to be due at %d, now it is %d", i, at, now)
				}
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, len(owners)-1).Draw(t, "which")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				want[i] = now + rapid.Int64Range(1, 3*wheelSlots*tick).Draw(t, "in")
				w.arm(&owners[i].timer, want[i])
			case 2:
				want[i] = 0
				w.arm(&owners[i].timer, 0)
			default:
				want[i] = 0
				w.remove(&owners[i].timer)
			}
			sleep := w.next(now)
			for range 20 { // as a loop does: it sleeps no longer than it is told
				if sleep < 0 {
					sleep = int(rapid.Int64Range(0, 5000).Draw(t, "sleep"))
				}
				now += int64(sleep) * 1e6
				look()
				if sleep = w.next(now); sleep < 0 {
					break
				}
			}
		}
	})
}
