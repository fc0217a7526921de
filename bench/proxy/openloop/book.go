package openloop

import (
	"time"

	"semper/bench/load"
)

// A book knows what is due, who carries what, and what came of it. It does no I/O and reads no clock: every method takes the time since
// the start of the run, which never goes back.
type book struct {
	table *Timetable
	due   time.Duration // of the first request that has not been sent
	more  bool          // there is one

	free  []int // connections without a request, the one that has been free for longest first
	carry []carried
	out   int // requests without an answer

	result Result
}

// carried is what one connection is doing.
type carried struct {
	busy  bool
	due   time.Duration // when its request should have been sent
	sent  time.Duration
	since time.Duration // while it is free: since when
}

func newBook(t *Timetable, connections int) *book {
	b := &book{table: t, carry: make([]carried, connections), free: make([]int, 0, connections)}
	b.result.Corrected, b.result.Service, b.result.Lag = &load.Histogram{}, &load.Histogram{}, &load.Histogram{}
	for c := range connections {
		b.free = append(b.free, c)
	}
	b.due, b.more = t.Next()
	return b
}

// send is the connection that is to carry a request now; false when nothing is due or nobody is free.
func (b *book) send(now time.Duration) (int, bool) {
	if !b.more || b.due > now || len(b.free) == 0 {
		return 0, false
	}
	c := b.free[0]
	b.free = b.free[:copy(b.free, b.free[1:])]
	able := max(b.due, b.carry[c].since)
	b.carry[c] = carried{busy: true, due: b.due, sent: now}
	b.out++
	b.result.Sent++
	b.result.Lag.Record(now - able)
	b.due, b.more = b.table.Next()
	return c, true
}

// wake is when send is to be asked again; false when only an answer can change anything.
func (b *book) wake() (time.Duration, bool) { return b.due, b.more && len(b.free) > 0 }

// answered ends the request that c carries, well or not, and frees c.
func (b *book) answered(c int, now time.Duration, ok bool) {
	k := &b.carry[c]
	if !k.busy {
		return
	}
	if !ok {
		b.result.Failed++
	}
	b.result.Corrected.Record(now - k.due)
	b.result.Service.Record(now - k.sent)
	*k = carried{since: now}
	b.free = append(b.free, c)
	b.out--
}

// finished reports that every request of the timetable has its answer.
func (b *book) finished() bool { return !b.more && b.out == 0 }

// close counts whatever has no answer as failed, with the time it has waited: less than the truth, but not nothing.
func (b *book) close(now time.Duration) Result {
	for c := range b.carry {
		b.answered(c, now, false)
	}
	for ; b.more; b.due, b.more = b.table.Next() {
		b.result.Sent++
		b.result.Failed++
		b.result.Corrected.Record(now - b.due)
	}
	return b.result
}
