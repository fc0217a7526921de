package meter

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"semper"
	"semper/queue"
)

// tally is what is counted of one queue.
type tally struct {
	service queue.Service

	mu       sync.Mutex // guards the following
	queue    queue.Viewer
	total    Counts
	jobs     Histogram
	attempts Histogram
	recent   [2]Histogram // of jobs: of this time, and of the one before
	turned   time.Time    // when this time began
	open     map[queue.ID]begun
	marks    []mark // of the last points, oldest first; the first is the beginning
	points   []Point
}

// begun is an attempt whose end is still to be seen.
type begun struct {
	attempt        int
	may, at, until time.Time     // when the job might start, when the attempt did, and until when its lease holds
	lease          time.Duration // from each extension on
}

// mark is the counters at a point.
type mark struct {
	at    time.Time
	total Counts
}

// turn is how long a half of what is recent is collected.
const turn = 5 * time.Minute

func (t *tally) view(q queue.Viewer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = q
}

func (t *tally) count(f func(*Counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.total)
}

// refused is whether err is about the job, and not about what keeps it.
func refused(err error) bool {
	return errors.Is(err, queue.ErrTooLarge) || errors.Is(err, queue.ErrKeyReused) || semper.CodeOf(err) == semper.Invalid || semper.CodeOf(err) == semper.Conflict
}

func (t *tally) claimed(claims []queue.Claim) {
	if len(claims) == 0 {
		return
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range claims {
		c := &claims[i]
		if _, lapsed := t.open[c.ID]; lapsed { // the lease before ended, and nobody has said so
			t.total.Failed++
		}
		may := c.Accepted
		if c.NotBefore.After(may) {
			may = c.NotBefore
		}
		t.total.Attempts++
		t.open[c.ID] = begun{attempt: c.Lease.Attempt, may: may, at: now, until: now.Add(c.For), lease: c.For}
	}
}

func (t *tally) extended(l queue.Lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b, ok := t.open[l.ID]; ok && b.attempt == l.Attempt {
		b.until = time.Now().Add(b.lease)
		t.open[l.ID] = b
	}
}

// ended counts what became of the attempt that l was the lease of.
func (t *tally) ended(l queue.Lease, s queue.State) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b, seen := t.open[l.ID]
	if seen = seen && b.attempt == l.Attempt; seen {
		delete(t.open, l.ID)
		if s != queue.Queued { // given back: it did not count
			t.attempts.add(now.Sub(b.at))
		}
	}
	switch s {
	case queue.Done:
		t.total.Done++
		if seen { // else the process before began it
			took := now.Sub(b.may)
			t.jobs.add(took)
			t.recent[0].add(took)
		}
	case queue.Dead:
		t.total.Failed++
		t.total.Dead++
	case queue.Delayed:
		t.total.Failed++
	}
}

const (
	// patience is how long a queue may take to say how it stands.
	patience = 2 * time.Second
	// grace is how long after its end a lease is asked for: the engine has to end it first.
	grace = time.Second
	// askEach is how many jobs are asked for at one point.
	askEach = 100
)

// stats are how the queue stands.
func (t *tally) stats(ctx context.Context) (queue.Stats, error) {
	t.mu.Lock()
	q := t.queue
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return q.Stats(ctx)
}

// point draws a point, and finds out what became of leases that ended.
func (t *tally) point(ctx context.Context) {
	t.lapse(ctx)
	s, err := t.stats(ctx)
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.total.Sub(t.marks[len(t.marks)-1].total)
	p := Point{At: now.Round(0), Accepted: d.Accepted, Failed: d.Failed, Done: d.Done, Dead: d.Dead, Blind: err != nil}
	if err == nil {
		p.Waiting, p.Running, p.Buried, p.Oldest = s.Queued+s.Delayed, s.Running, s.Dead, s.Age(now).Seconds()
	}
	if len(t.points) == Kept {
		t.points = slices.Delete(t.points, 0, 1)
	}
	t.points = append(t.points, p)
	if len(t.marks) > minute {
		t.marks = slices.Delete(t.marks, 0, 1)
	}
	t.marks = append(t.marks, mark{now, t.total})
	if now.Sub(t.turned) >= turn {
		t.recent[0], t.recent[1], t.turned = Histogram{}, t.recent[0], now
	}
}

// lapse counts attempts whose lease has ended without a word.
func (t *tally) lapse(ctx context.Context) {
	late := time.Now().Add(-grace)
	var ids []queue.ID
	t.mu.Lock()
	q := t.queue
	for id, b := range t.open {
		if b.until.Before(late) && len(ids) < askEach {
			ids = append(ids, id)
		}
	}
	t.mu.Unlock()
	for _, id := range ids {
		s, err := get(ctx, q, id)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return // later
		}
		t.lapsed(id, s)
	}
}

func get(ctx context.Context, q queue.Viewer, id queue.ID) (queue.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return q.Get(ctx, id)
}

// lapsed counts how the job of s stands, of whose attempt nothing was heard.
func (t *tally) lapsed(id queue.ID, s queue.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, ok := t.open[id]
	runs := s.State == queue.Running && len(s.Attempts) > 0 && s.Attempts[len(s.Attempts)-1].Number == b.attempt
	if !ok || runs || b.until.After(time.Now()) {
		return // somebody else extends it, or it was heard of meanwhile
	}
	delete(t.open, id)
	switch s.State {
	case queue.Done:
		t.total.Done++
	case queue.Dead:
		t.total.Failed++
		t.total.Dead++
	default:
		t.total.Failed++
	}
}

// reading is what is counted, and how the queue stands.
func (t *tally) reading(ctx context.Context, since time.Time) Reading {
	s, err := t.stats(ctx)
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.marks[0]
	return Reading{
		Service: t.service, Since: since.Round(0), At: now.Round(0), Stats: s, Blind: err != nil,
		Total: t.total, Lately: t.total.Sub(first.total), Over: now.Sub(first.at),
		Jobs: t.jobs.with(Histogram{}), Attempts: t.attempts.with(Histogram{}), Recent: t.recent[0].with(t.recent[1]),
	}
}

func (t *tally) past() []Point {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.points)
}
