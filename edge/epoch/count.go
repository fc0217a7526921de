package epoch

import "sync/atomic"

// retired marks a Count that no current value leads to. It shares the word with the count, so that whoever brings the
// count to zero learns in the same step whether somebody waits for that.
const retired = 1 << 63

// cacheLine keeps counters that are written by different processors apart: 64 bytes a line, which the prefetcher of
// common processors fetches in pairs.
const cacheLine = 128

// Count is how many requests are in flight on one thing: a backend, or a release. The zero Count is ready to use and
// must not be copied. Its methods are safe for concurrent use.
//
// Where one word is contended by many processors, a thing may have a Count for each of them: every request releases the
// Count that it claimed, and the thing is idle when [Idle] says so.
type Count struct {
	n    atomic.Uint64
	idle func()
	_    [cacheLine - 16]byte
}

// OnIdle says what to call when the last request on a retired Count is released. It is called by that request, which
// waits for it, so it must be quick; and now and then once more than needed. OnIdle must be called before the first claim.
func (n *Count) OnIdle(f func()) { n.idle = f }

// Load is how many are in flight. Requests that are about to take back a claim are in it for a moment.
func (n *Count) Load() int64 { return int64(n.n.Load() &^ retired) }

// Claim counts one more in flight for whoever is sure of the thing without looking at a [Current]: what has one claim
// may make another.
func (n *Count) Claim() { n.n.Add(1) }

// Release ends a claim.
func (n *Count) Release() {
	if n.n.Add(^uint64(0)) == retired && n.idle != nil {
		n.idle()
	}
}

// Retire says that nothing current leads to the thing any more, and that its end is waited for: the function of
// [Count.OnIdle] is called then. It goes behind the [Current.Swap] that left the thing out. Look with [Count.Idle] once
// after it: what is idle already has nobody left to tell of it.
func (n *Count) Retire() { n.n.Or(retired) }

// Restore ends Retire. It goes before the [Current.Swap] that leads to the thing again.
func (n *Count) Restore() { n.n.And(^uint64(retired)) }

// Idle reports whether the Count is retired and nothing is in flight. Then nothing goes on there until a Swap leads to
// it again. Requests that take back a claim may make it false again for a moment: true once is enough.
func (n *Count) Idle() bool { return n.n.Load() == retired }

// Idle reports whether each of the Counts of one thing is idle. They are read one after the other, which is as good as
// at once: of what is retired, none comes back.
func Idle(counts []Count) bool {
	for i := range counts {
		if !counts[i].Idle() {
			return false
		}
	}
	return true
}
