package backlog

import "time"

// Seat is a place among those that run, of a job that is to start as soon as it is there.
type Seat struct {
	job  Entry
	lane *lane
}

// Seat keeps a place for a job that is still being written down, if it may start at once: nothing that waits could start
// before it, no bound is reached, and it stands in no order, in which one that is being written down as well may come
// before it. Nil where it may not; otherwise [Backlog.Leave] must follow, and after it has been added Started before that.
func (b *Backlog) Seat(e Entry, now time.Time) *Seat {
	b.Due(now)
	late := e.At.After(now) || !e.Expires.IsZero() && !e.Expires.After(now)
	if late || b.open.len() > 0 || !b.mayStart(now) {
		return nil
	}
	l := b.laneOf(&e)
	if l.ordered || l.width > 0 && l.running >= l.width {
		b.look(l, now)
		return nil
	}
	s := &Seat{job: e}
	b.seats[s] = true
	b.sit(s)
	b.tokens--
	return s
}

func (b *Backlog) sit(s *Seat) {
	s.lane = b.laneOf(&s.job)
	s.lane.running++
}

// Leave gives a place back: the job runs by now, or does not start.
func (b *Backlog) Leave(s *Seat, now time.Time) {
	delete(b.seats, s)
	s.lane.running--
	b.look(s.lane, now)
}
