package admit

import (
	"cmp"
	"sync/atomic"
)

// waits marks a Limit at which somebody waits. It shares the word with the count, so that who leaves learns of it in the same
// step, and who comes does not overtake.
const waits = 1 << 63

const cacheLine = 128

// Limit is how much is in flight, against a bound that is given with each question, so that it may change. The zero Limit is
// idle. Its methods are safe for concurrent use and lock nothing.
type Limit struct {
	word atomic.Uint64
	_    [cacheLine - 8]byte
}

// InFlight is how much is in flight.
func (l *Limit) InFlight() int64 { return int64(l.word.Load() &^ waits) }

// Enter counts one more in flight if there are fewer than most and nobody waits, and reports whether it did. What did not
// enter may wait: see [Queue.Enter].
func (l *Limit) Enter(most int64) bool {
	for {
		w := l.word.Load()
		if int64(w) < 0 || int64(w) >= most { // waits is the sign
			return false
		}
		if l.word.CompareAndSwap(w, w+1) {
			return true
		}
	}
}

// Leave ends one. It reports whether somebody waits: then [Queue.Step] is to be called.
func (l *Limit) Leave() (waiting bool) { return l.word.Add(^uint64(0))&waits != 0 }

// take is Enter for one who waits.
func (l *Limit) take(most int64) bool {
	for {
		w := l.word.Load()
		if int64(w&^waits) >= most {
			return false
		}
		if l.word.CompareAndSwap(w, w+1) {
			return true
		}
	}
}

func (l *Limit) mark(waiting bool) {
	if waiting {
		l.word.Or(waits)
	} else {
		l.word.And(^uint64(waits))
	}
}

// Priority is how important a request is. The zero Priority is that of most.
type Priority uint8

// The priorities.
const (
	Normal Priority = iota
	High
	Low
)

// Shares is the percentage of a bound that requests of a priority may fill, with those of all others. Requests of high priority
// may fill all of it. Under load the low are shed while the others still come in. Zero fields stand for defaults.
type Shares struct {
	Normal int // 0: 100
	Low    int // 0: 50
}

// Of is the part of a bound for p: at least one, of a bound that lets in any.
func (s Shares) Of(bound int64, p Priority) int64 {
	percent := 100
	switch p {
	case Normal:
		percent = cmp.Or(s.Normal, 100)
	case Low:
		percent = cmp.Or(s.Low, 50)
	}
	return max(bound*int64(percent)/100, min(bound, 1))
}
