package queuetest

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"semper/queue"
)

// schedules does what a random schedule says, to the queue and to a model of it, and compares.
func schedules(f *fixture) {
	n := f.h.Schedules
	if n == 0 {
		n = 100
	}
	if given := flag.Lookup("rapid.checks"); given != nil && given.Value.String() != given.DefValue {
		n = 1 << 30 // whoever asks for a number gets it
	}
	tried := 0
	rapid.Check(undated{f.T}, func(rt *rapid.T) {
		if tried++; tried > n {
			return
		}
		m := &model{fixture: f, rt: rt, all: map[queue.ID]*modelJob{}}
		m.play()
	})
}

// undated hides the test's deadline, which a bubble's time has nothing to do with.
type undated struct{ testing.TB }

// model is what a queue should be, kept as simply as can be.
type model struct {
	*fixture
	rt      *rapid.T
	p       queue.Policy
	order   []*modelJob // of acceptance; a retried job goes to the end
	all     map[queue.ID]*modelJob
	paused  bool
	running []queue.Claim
}

type modelJob struct {
	id    queue.ID
	key   string
	state queue.State
	tries int
}

func (m *model) play() {
	m.p = queue.Policy{
		Order:       rapid.SampledFrom([]queue.Order{queue.OrderNone, queue.OrderKey, queue.OrderStrict}).Draw(m.rt, "order"),
		Running:     rapid.IntRange(0, 3).Draw(m.rt, "running"),
		PerKey:      rapid.IntRange(0, 2).Draw(m.rt, "per key"),
		MaxAttempts: rapid.IntRange(1, 4).Draw(m.rt, "attempts"),
		Lease:       time.Hour,
		Backoff:     queue.Backoff{Base: time.Millisecond, Factor: 1},
	}
	m.open(m.p)
	acts := map[string]func(){
		"enqueue": m.enqueue, "claim": m.start, "end": m.end, "pause": m.pauseOrResume, "operate": m.operate,
	}
	names := []string{"enqueue", "enqueue", "claim", "claim", "end", "end", "pause", "operate"}
	if m.h.Reopen != nil {
		acts["crash"] = m.crash
		names = append(names, "crash")
	}
	for range rapid.IntRange(1, 30).Draw(m.rt, "steps") {
		acts[rapid.SampledFrom(names).Draw(m.rt, "act")]()
	}
	m.check()
}

func (m *model) enqueue() {
	key := rapid.SampledFrom([]string{"", "a", "b"}).Draw(m.rt, "key")
	j := &modelJob{key: key, state: queue.Queued}
	j.id = m.put(keyed(key, fmt.Sprint(len(m.order))))
	m.order = append(m.order, j)
	m.all[j.id] = j
}

// lane is whom j waits for, and how many of them may run.
func (m *model) lane(j *modelJob) (lane string, width int) {
	switch {
	case m.p.Order == queue.OrderStrict:
		return "all", 1
	case j.key == "" || m.p.Order == queue.OrderNone && m.p.PerKey == 0:
		return "", 1 << 30
	case m.p.Order == queue.OrderKey:
		return "key " + j.key, 1
	}
	return "key " + j.key, m.p.PerKey
}

// next are the jobs that have to start now, in their order, if as many are asked for.
func (m *model) next() (out []*modelJob) {
	if m.paused {
		return nil
	}
	total, busy := 0, map[string]int{}
	for _, j := range m.order {
		if j.state == queue.Running {
			lane, _ := m.lane(j)
			busy[lane]++
			total++
		}
	}
	for _, j := range m.order {
		lane, width := m.lane(j)
		waits := j.state == queue.Queued || j.state == queue.Delayed
		if waits && busy[lane] < width && (m.p.Running == 0 || total < m.p.Running) {
			busy[lane]++
			total++
			out = append(out, j)
		}
	}
	return out
}

func (m *model) start() {
	m.pass(3 * time.Millisecond) // every back-off is over
	want := m.next()
	if len(want) == 0 {
		m.none()
		return
	}
	want = want[:rapid.IntRange(1, len(want)).Draw(m.rt, "n")]
	got := m.fixture.claim(len(want))
	for i, c := range got {
		j := m.all[c.ID]
		if want[i] != j {
			m.rt.Fatalf("started %s, accepted as number %d, as number %d; want %s, accepted as number %d, which is %s", c.ID, slices.Index(m.order, j), i, want[i].id, slices.Index(m.order, want[i]), want[i].state)
		}
		j.state = queue.Running
		j.tries++
	}
	m.running = append(m.running, got...)
}

func (m *model) end() {
	if len(m.running) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.running)-1).Draw(m.rt, "which")
	c := m.running[i]
	m.running = slices.Delete(m.running, i, i+1)
	j := m.all[c.ID]
	switch rapid.SampledFrom([]string{"complete", "complete", "fail", "final", "release"}).Draw(m.rt, "how") {
	case "complete":
		m.complete(c)
		j.state = queue.Done
	case "fail":
		j.state = queue.Delayed
		if j.tries >= m.p.MaxAttempts {
			j.state = queue.Dead
		}
		if got := m.fail(c); got != j.state {
			m.rt.Fatalf("after %d attempts it is %s, want %s", j.tries, got, j.state)
		}
	case "final":
		m.must2(m.q.Fail(m.ctx, c.Lease, queue.Failure{Final: true}))
		j.state = queue.Dead
	case "release":
		m.must(m.q.Release(m.ctx, c.Lease))
		j.state = queue.Queued
		j.tries--
	}
	m.is(m.q.Complete(m.ctx, c.Lease, queue.Result{}), queue.ErrLeaseLost)
}

func (m *model) pauseOrResume() {
	if m.paused = !m.paused; m.paused {
		m.must2(m.q.Pause(m.ctx, ann))
		return
	}
	m.must(m.q.Resume(m.ctx, ann))
}

func (m *model) operate() {
	if len(m.order) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.order)-1).Draw(m.rt, "which")
	j := m.order[i]
	switch waits := j.state == queue.Queued || j.state == queue.Delayed; {
	case j.state == queue.Dead && rapid.Bool().Draw(m.rt, "retry"):
		m.must2(m.q.Retry(m.ctx, ann, j.id))
		j.state, j.tries = queue.Queued, 0
		m.order = append(slices.Delete(m.order, i, i+1), j)
	case waits || j.state == queue.Dead:
		m.must2(m.q.Discard(m.ctx, ann, j.id))
		j.state = queue.Discarded
	default:
		_, err := m.q.Discard(m.ctx, ann, j.id)
		m.is(err, queue.ErrState)
	}
}

// check compares every job, and the numbers.
func (m *model) check() {
	m.pass(3 * time.Millisecond)
	counts := map[queue.State]int{}
	for _, j := range m.order {
		if j.state == queue.Delayed {
			j.state = queue.Queued // its time has come
		}
		counts[j.state]++
		if got := m.status(j.id).State; got != j.state {
			m.rt.Errorf("%s is %s, want %s", j.id, got, j.state)
		}
	}
	s, err := m.q.Stats(m.ctx)
	m.must(err)
	// A delayed job behind the head of its lane is counted as delayed until the head is gone.
	if s.Queued+s.Delayed != counts[queue.Queued] || s.Running != counts[queue.Running] || s.Dead != counts[queue.Dead] {
		m.rt.Errorf("stats are %+v, want %v", s, counts)
	}
}
