package actor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The properties of otp.md that only many goroutines can break: P5 exactly one Down for a monitor, P6 a name is free
// before its end is seen, P9 a call has exactly one outcome and nothing after it.

// quiz is a call with a number, so that an answer can be told from that to another call.
type quiz struct {
	n     int64
	from  From[int64]
	how   int
	given chan bool // takes what Reply said: whether the caller had the answer
}

// crowd are processes that come and go, one behind each name, while everything is done to them.
type crowd struct {
	names   []*Name[any]
	replies sync.WaitGroup
	quizzes atomic.Int64

	mu  sync.Mutex
	all []PID
}

type member struct{ c *crowd }

func (m *member) Handle(_ *Self[any], what any) error {
	switch what := what.(type) {
	case quiz:
		reply := func() { what.given <- what.from.Reply(-what.n) }
		switch what.how % 5 {
		case 0:
			m.c.replies.Add(1)
			time.AfterFunc(time.Duration(what.n%100)*time.Microsecond, func() {
				defer m.c.replies.Done()
				reply()
			})
		case 1:
			return errBoom // unanswered
		case 2:
			reply()
			panic("answered first")
		default:
			reply()
		}
	case error:
		return what
	}
	return nil
}

func (c *crowd) start(r *rand.Rand) (Ref[any], error) {
	name := c.names[r.IntN(len(c.names))]
	o := Options{Name: name, TrapExit: r.IntN(4) == 0}
	if r.IntN(3) == 0 {
		o.Mailbox = Mailbox{Limit: 1 + r.IntN(3), Overflow: Overflow(r.IntN(4))}
	}
	ctx, cancel := context.WithTimeout(quiet, time.Duration(r.IntN(300))*time.Microsecond)
	defer cancel()
	ref, err := Start[any](ctx, &member{c}, o)
	if err == nil {
		c.mu.Lock()
		c.all = append(c.all, ref.PID())
		c.mu.Unlock()
	}
	return ref, err
}

// call checks P9.
func (c *crowd) call(t *testing.T, r *rand.Rand) {
	q := quiz{n: c.quizzes.Add(1), how: r.IntN(10), given: make(chan bool, 1)}
	ctx, cancel := context.WithTimeout(quiet, time.Duration(r.IntN(200))*time.Microsecond)
	defer cancel()
	got, err := Call(ctx, c.names[r.IntN(len(c.names))], func(f From[int64]) any {
		q.from = f
		return q
	})
	var end *ExitError
	switch {
	case err == nil && got != -q.n:
		t.Errorf("call %d got the answer %d", q.n, got)
	case err != nil && got != 0:
		t.Errorf("call %d got an answer and %v", q.n, err)
	case err != nil && !errors.As(err, &end) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrNoProc) &&
		!errors.Is(err, ErrMailboxFull) && !errors.Is(err, ErrDropped):
		t.Errorf("call %d: %v", q.n, err)
	}
	if q.from.Waiting() || q.from.Reply(1) || q.from.Fail(errBoom) {
		t.Errorf("call %d is over and takes an answer", q.n)
	}
	c.replies.Go(func() {
		if err == nil { // the answer came: Reply must say so, when it returns
			if !<-q.given {
				t.Errorf("call %d has an answer that was not given", q.n)
			}
			return
		}
		select {
		case yes := <-q.given:
			if yes {
				t.Errorf("call %d ended with %v, and was answered", q.n, err)
			}
		default: // not answered yet, or never
		}
	})
}

// disturb does one thing to one of the crowd.
func (c *crowd) disturb(r *rand.Rand) {
	ref, err := c.names[r.IntN(len(c.names))].Resolve()
	if err != nil || r.IntN(6) == 0 {
		_, _ = c.start(r)
		return
	}
	ctx, cancel := context.WithTimeout(quiet, time.Duration(r.IntN(100))*time.Microsecond)
	defer cancel()
	other, _ := c.names[r.IntN(len(c.names))].Resolve()
	switch r.IntN(12) {
	case 0:
		ref.PID().Kill()
	case 1:
		ref.PID().Exit([]Reason{{}, {Kind: Shutdown}, {Kind: Crash, Err: errBoom}}[r.IntN(3)])
	case 2:
		_ = ref.PID().Shutdown(ctx)
	case 3:
		_ = ref.PID().Suspend(ctx)
	case 4, 5:
		_ = ref.PID().Resume(ctx)
	case 6:
		_ = ref.PID().State(ctx, func(any) {})
	case 7:
		ref.s.Link(other.PID())
	case 8:
		ref.s.Unlink(other.PID())
	case 9:
		_ = ref.PID().Info()
	case 10:
		_ = ref.CastContext(ctx, errBoom)
	default:
		for i := range r.IntN(10) {
			_ = ref.CastContext(ctx, i)
		}
	}
}

// witness is a process that watches the crowd and keeps account of what it is told.
type witness struct {
	t     *testing.T
	c     *crowd
	r     *rand.Rand
	downs map[MonitorRef]int // monitors made, less Downs
	links map[PID]int        // 0: linked, else the number of its Unlink, though an Exit may be in the mailbox
	refs  []MonitorRef
	told  [2]int // Downs and Exits

	unlinks int
}

type unlinked struct {
	id PID
	n  int
}

func (w *witness) Handle(self *Self[any], what any) error {
	target, _ := w.c.names[w.r.IntN(len(w.c.names))].Resolve()
	if target.PID() == (PID{}) {
		return nil
	}
	switch id := target.PID(); w.r.IntN(5) {
	case 0, 1:
		m := self.Monitor(id)
		w.downs[m]++
		w.refs = append(w.refs, m)
	case 2:
		if n := len(w.refs); n > 0 {
			if m := w.refs[w.r.IntN(n)]; self.Demonitor(m) {
				w.downs[m]--
			}
		}
	case 3:
		w.links[id] = 0
		self.Link(id)
	default:
		if n, ok := w.links[id]; ok && n == 0 {
			self.Unlink(id)
			w.unlinks++
			w.links[id] = w.unlinks
			return self.PID().Inform(unlinked{id, w.unlinks}) // an Exit after this one is too late
		}
	}
	return nil
}

func (w *witness) Info(_ *Self[any], info any) error {
	var id PID
	switch info := info.(type) {
	case Down:
		id = info.PID
		w.told[0]++
		w.downs[info.Ref]--
		if n := w.downs[info.Ref]; n != 0 {
			w.t.Errorf("%v: the number of its Downs is off by %d", id, n)
		}
	case Exit:
		id = info.From
		w.told[1]++
		// A link that is made once more after the end of the other gives another Exit.
		if _, ok := w.links[id]; !ok && info.Reason.Err != ErrNoProc {
			w.t.Errorf("%v: an Exit without a link", id)
		}
		delete(w.links, id)
	case unlinked:
		if w.links[info.id] == info.n {
			delete(w.links, info.id)
		}
		return nil
	}
	for _, n := range w.c.names {
		if r, err := n.Resolve(); err == nil && r.PID() == id {
			w.t.Errorf("%v: its name leads to it after its end", id)
		}
	}
	return nil
}

func TestStress(t *testing.T) {
	t.Parallel()
	steps := 5_000
	if testing.Short() {
		steps = 1_000
	}
	c := &crowd{}
	for i := range 5 {
		c.names = append(c.names, NewName[any](fmt.Sprint("n", i)))
	}
	var all [3]*witness
	var witnesses [3]Ref[any]
	for i := range all {
		all[i] = &witness{t: t, c: c, r: rand.New(rand.NewPCG(uint64(i), 1)), downs: map[MonitorRef]int{}, links: map[PID]int{}}
		witnesses[i] = must(t, all[i], Options{TrapExit: true})
	}
	var busy sync.WaitGroup
	for i := range uint64(6) {
		r := rand.New(rand.NewPCG(i, 2))
		busy.Go(func() {
			for range steps {
				switch r.IntN(8) {
				case 0, 1:
					c.call(t, r)
				case 2, 3:
					_ = witnesses[r.IntN(3)].Cast(1)
				default:
					c.disturb(r)
				}
			}
		})
	}
	busy.Wait()
	for _, id := range c.all {
		id.Kill()
		<-id.Gone()
	}
	c.replies.Wait()
	for i, ref := range witnesses {
		if err := ref.PID().Shutdown(quiet); err != nil { // after all that is in its mailbox
			t.Error(err)
		}
		<-ref.PID().Gone()
		if r := ref.PID().Reason(); r.Kind != Shutdown {
			t.Errorf("a witness ended for %v", r)
		}
		all[i].account()
	}
}

// account checks what a witness saw, when all is over.
func (w *witness) account() {
	for m, n := range w.downs {
		if n != 0 {
			w.t.Errorf("the monitor %v had no Down", m)
		}
	}
	for id, n := range w.links {
		if n == 0 {
			w.t.Errorf("the link to %v gave no Exit", id)
		}
	}
	if w.told == [2]int{} || len(w.refs) == 0 {
		w.t.Error("nothing has happened")
	}
	w.t.Logf("%d monitors, %d Downs, %d Exits", len(w.refs), w.told[0], w.told[1])
}
