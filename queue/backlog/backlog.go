package backlog

import (
	"math"
	"time"

	"semper/queue"
)

// Backlog is the jobs of one queue that are not terminal, and the dead ones. It is not safe for concurrent use.
type Backlog struct {
	policy queue.Policy
	paused bool

	jobs  map[queue.ID]*Entry
	pages map[int32]int // how many of them say that page
	lanes map[string]*lane
	free  *lane // of jobs that keep nobody waiting

	open   heap[*lane]  // that can start a job now
	times  heap[*Entry] // that wait for their time
	leases heap[*Entry] // that run, by the end of their lease
	ttl    heap[*Entry] // that wait and may expire
	ages   heap[*Entry] // that wait for nothing but their turn

	active int // picked or running
	dead   int
	late   int // waiting after an attempt
	bytes  int64

	seats map[*Seat]bool // of jobs that start as they are added

	held      int // accepted but not yet added
	heldBytes int64

	tokens   float64 // of the rate
	refilled time.Time
}

// New is an empty backlog under p.
func New(p queue.Policy) *Backlog {
	byTime := func(a, b *Entry) bool { return a.At.Before(b.At) }
	inTime := func(e *Entry) *int32 { return &e.inTime }
	b := &Backlog{
		policy: p.Filled(),
		jobs:   map[queue.ID]*Entry{},
		pages:  map[int32]int{},
		seats:  map[*Seat]bool{},
		times:  heap[*Entry]{less: byTime, at: inTime},
		leases: heap[*Entry]{less: byTime, at: inTime},
		ttl:    heap[*Entry]{less: func(a, b *Entry) bool { return a.Expires.Before(b.Expires) }, at: func(e *Entry) *int32 { return &e.inTTL }},
		ages:   heap[*Entry]{less: before, at: func(e *Entry) *int32 { return &e.inAge }},
		open: heap[*lane]{less: func(a, b *lane) bool { return sooner(a.jobs.items[0], b.jobs.items[0]) },
			at: func(l *lane) *int32 { return &l.inOpen }},
	}
	b.tokens = float64(b.policy.Burst)
	b.relane()
	return b
}

// Policy is what the backlog goes by.
func (b *Backlog) Policy() queue.Policy { return b.policy }

// SetPolicy makes p hold from now on. Jobs that run go on, also where p would not have let them start.
func (b *Backlog) SetPolicy(p queue.Policy, now time.Time) {
	b.policy = p.Filled()
	b.tokens = min(b.tokens, float64(b.policy.Burst))
	b.open.items, b.late = nil, 0
	for _, e := range b.jobs {
		e.inLane = 0
		if e.state == waiting {
			b.times.remove(e)
			b.ages.remove(e)
		}
	}
	b.relane()
	for s := range b.seats {
		b.sit(s)
	}
	for _, e := range b.jobs {
		switch e.state {
		case picked, running:
			e.lane = b.laneOf(e)
			e.lane.running++
			b.look(e.lane, now)
		case waiting:
			b.wait(e, now)
		}
	}
}

func (b *Backlog) relane() {
	b.lanes, b.free = map[string]*lane{}, newLane("", false, 0)
}

func (b *Backlog) laneOf(e *Entry) *lane {
	key, ordered, width := e.Key, b.policy.Order == queue.OrderKey, b.policy.PerKey
	switch {
	case b.policy.Order == queue.OrderStrict:
		key, ordered, width = "", true, 1
	case key == "" || !ordered && width == 0:
		return b.free
	case ordered:
		width = 1
	}
	l := b.lanes[key]
	if l == nil {
		l = newLane(key, ordered, width)
		b.lanes[key] = l
	}
	return l
}

// Pause makes Next give nothing until it is called with false.
func (b *Backlog) Pause(on bool) { b.paused = on }

// Get is the entry of a job, nil when it is not there. It is the backlog's: not to be changed.
func (b *Backlog) Get(id queue.ID) *Entry { return b.jobs[id] }

// Len is how many jobs there are.
func (b *Backlog) Len() int { return len(b.jobs) }

// Add takes a job that waits. One that is there already stays as it is.
func (b *Backlog) Add(e Entry, now time.Time) {
	if b.jobs[e.ID] != nil {
		return
	}
	job := &e
	job.state = waiting
	b.jobs[e.ID] = job
	b.bytes += e.Size
	b.onPage(e.Page, 1)
	b.wait(job, now)
}

// Indexed is that a job is written down on a page.
func (b *Backlog) Indexed(id queue.ID, page int32) {
	if e := b.jobs[id]; e != nil {
		b.onPage(e.Page, -1)
		b.onPage(page, 1)
		e.Page = page
	}
}

// OnPage is how many jobs say a page.
func (b *Backlog) OnPage(page int32) int { return b.pages[page] }

func (b *Backlog) onPage(page int32, n int) {
	if page == 0 {
		return
	}
	if b.pages[page] += n; b.pages[page] == 0 {
		delete(b.pages, page)
	}
}

// wait puts e where waiting jobs are, by its At.
func (b *Backlog) wait(e *Entry, now time.Time) {
	e.state = waiting
	if !e.Expires.IsZero() {
		b.ttl.put(e)
	}
	e.lane = b.laneOf(e)
	due := !e.At.After(now)
	if e.lane.ordered || due {
		e.lane.jobs.put(e)
	}
	if due {
		e.At = time.Time{}
		b.ages.put(e)
	} else {
		b.late += e.isLate()
		if !e.lane.ordered {
			b.times.put(e)
		}
	}
	b.look(e.lane, now)
}

// ripen is that the time has come that e waited for. Its lane may have been dropped meanwhile, and begun anew with others.
func (b *Backlog) ripen(e *Entry) {
	b.times.remove(e)
	b.late -= e.isLate()
	e.At = time.Time{}
	e.lane = b.laneOf(e)
	e.lane.jobs.put(e)
	b.ages.put(e)
}

// look puts l among the open lanes, or takes it out, and drops it when nothing is left of it.
func (b *Backlog) look(l *lane, now time.Time) {
	head, ok := l.jobs.first()
	switch {
	case !ok && l.empty() && l != b.free:
		b.open.remove(l)
		if b.lanes[l.key] == l {
			delete(b.lanes, l.key)
		}
	case !ok || l.width > 0 && l.running >= l.width:
		b.open.remove(l)
	case head.At.After(now):
		b.open.remove(l)
		b.times.put(head)
	default:
		if !head.At.IsZero() {
			b.ripen(head)
		}
		b.open.put(l)
	}
}

// leave takes e out of where it is.
func (b *Backlog) leave(e *Entry, now time.Time) {
	switch e.state {
	case waiting:
		b.unwait(e)
	case picked, running:
		b.active--
		e.lane.running--
		b.leases.remove(e)
	case dead:
		b.dead--
		return
	}
	b.look(e.lane, now)
}

func (b *Backlog) unwait(e *Entry) {
	b.late -= e.isLate()
	b.ttl.remove(e)
	b.ages.remove(e)
	b.times.remove(e)
	e.lane.jobs.remove(e)
}

// Remove forgets a job: it is done, discarded or expired.
func (b *Backlog) Remove(id queue.ID, now time.Time) {
	if e := b.jobs[id]; e != nil {
		b.leave(e, now)
		delete(b.jobs, id)
		b.bytes -= e.Size
		b.onPage(e.Page, -1)
	}
}

// Back makes a job wait again until at, which is the zero time for one that may start at once. attempt is how many it
// has begun.
func (b *Backlog) Back(id queue.ID, attempt int, at, now time.Time) {
	if e := b.jobs[id]; e != nil {
		b.leave(e, now)
		e.Attempt, e.At, e.Token, e.Note = int32(attempt), at, 0, 0
		b.wait(e, now)
	}
}

// Saw keeps the revision of a job's last change.
func (b *Backlog) Saw(id queue.ID, revision int64) {
	if e := b.jobs[id]; e != nil {
		e.Seen = revision
	}
}

// Note keeps n with a job that waits.
func (b *Backlog) Note(id queue.ID, n int64) {
	if e := b.jobs[id]; e != nil && e.state == waiting {
		e.Note = n
	}
}

// Bury makes a job dead.
func (b *Backlog) Bury(id queue.ID, attempt int, now time.Time) {
	if e := b.jobs[id]; e != nil {
		b.leave(e, now)
		e.Attempt, e.At, e.Token, e.state, e.lane = int32(attempt), time.Time{}, 0, dead, nil
		b.dead++
	}
}

// Started is that a job runs under token, with a lease until ends: after Next, or as it was found.
func (b *Backlog) Started(id queue.ID, attempt int, token int64, ends, now time.Time) {
	e := b.jobs[id]
	if e == nil || e.state == dead {
		return
	}
	if e.state == waiting {
		b.unwait(e)
		e.lane = b.laneOf(e) // as for ripen
		e.lane.running++
		b.active++
		b.look(e.lane, now)
	}
	b.leases.remove(e)
	e.state, e.Attempt, e.Token, e.At, e.Note = running, int32(attempt), token, ends, 0
	b.leases.put(e)
}

// Extend moves the end of a lease, if it is still that of the running attempt.
func (b *Backlog) Extend(id queue.ID, token int64, ends time.Time) bool {
	e := b.jobs[id]
	if e == nil || e.state != running || e.Token != token {
		return false
	}
	e.At = ends
	b.leases.put(e)
	return true
}

// inf is a number of tokens for those who have no rate.
var inf = math.Inf(1)
