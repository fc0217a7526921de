package actor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// What a process is, written as plainly as possible: the model of TestModel. Everything happens at once and one thing
// after the other, so that there is nothing to get wrong.

type modelProc struct {
	alive, trap, suspended bool
	reason                 Reason
	parent                 int // -1: none
	links                  map[int]bool
	monitors               map[int]int // whom it watches, how often
	box                    []any       // what waits while it is suspended
	handled                int
	told                   []string // its Infos
}

type model []*modelProc

func (m *model) start(trap bool, parent int) {
	p := &modelProc{alive: true, trap: trap, parent: -1, links: map[int]bool{}, monitors: map[int]int{}}
	*m = append(*m, p)
	if parent >= 0 && (*m)[parent].alive {
		p.parent = parent
		m.tie(parent, len(*m)-1)
	}
}

func (m model) tie(i, j int) { m[i].links[j], m[j].links[i] = true, true }

// post is anything that comes to a mailbox: an int for a message, a Reason for a Stop, a string for an Info.
func (m model) post(i int, what any) {
	p := m[i]
	switch {
	case !p.alive:
	case p.suspended:
		p.box = append(p.box, what)
	default:
		switch what := what.(type) {
		case string:
			p.told = append(p.told, what)
		case Reason:
			m.die(i, what)
		default:
			p.handled++
		}
	}
}

func (m model) exit(i, from int, r Reason) {
	p := m[i]
	parental := from >= 0 && from == p.parent
	switch {
	case !p.alive:
	case parental:
		m.die(i, r)
	case p.trap:
		m.post(i, exitText(from, r))
	case r.Kind != Normal:
		m.die(i, r)
	}
}

func exitText(from int, r Reason) string { return fmt.Sprintf("exit of %d: %v", from, r.Kind) }
func downText(of int, r Reason) string   { return fmt.Sprintf("down of %d: %v", of, r.Kind) }

func (m model) die(i int, r Reason) {
	p := m[i]
	links := p.links
	p.alive, p.suspended, p.reason, p.box, p.links, p.monitors = false, false, r, nil, map[int]bool{}, map[int]int{}
	for j := range links {
		delete(m[j].links, i)
		m.exit(j, i, r)
	}
	for j, w := range m {
		for range w.monitors[i] {
			m.post(j, downText(i, r))
		}
		delete(w.monitors, i)
	}
}

func (m model) resume(i int) {
	p := m[i]
	box := p.box
	p.suspended, p.box = false, nil
	for _, what := range box {
		m.post(i, what)
	}
}

// An op is one thing that a test does.
type op struct {
	verb string
	a, b int
	on   bool
	r    Reason
}

func (o op) String() string { return fmt.Sprintf("%s(%d,%d,%v,%v)", o.verb, o.a, o.b, o.on, o.r.Kind) }

var ops = rapid.Custom(func(t *rapid.T) op {
	return op{
		verb: rapid.SampledFrom([]string{"start", "child", "cast", "stop", "exit", "kill", "shutdown", "link", "link", "unlink",
			"monitor", "monitor", "demonitor", "suspend", "resume"}).Draw(t, "verb"),
		a: rapid.IntRange(0, 7).Draw(t, "a"), b: rapid.IntRange(0, 7).Draw(t, "b"), on: rapid.Bool().Draw(t, "on"),
		r: rapid.SampledFrom([]Reason{{}, {Kind: Shutdown}, {Kind: Crash, Err: errBoom}}).Draw(t, "reason"),
	}
})

// world is the real thing beside its model.
type world struct {
	m    model
	refs []Ref[any]
	told [][]string
	mons map[[2]int][]MonitorRef
}

func (w *world) index(id PID) int {
	return slices.IndexFunc(w.refs, func(r Ref[any]) bool { return r.PID() == id })
}

func (w *world) start(ctx context.Context, o Options) {
	i := len(w.refs)
	w.refs, w.told = append(w.refs, Ref[any]{}), append(w.told, nil)
	w.refs[i], _ = Start[any](ctx, &script{info: func(_ *Self[any], info any) error {
		switch info := info.(type) {
		case Exit:
			w.told[i] = append(w.told[i], exitText(w.index(info.From), info.Reason))
		case Down:
			w.told[i] = append(w.told[i], downText(w.index(info.PID), info.Reason))
		}
		return nil
	}}, o)
}

func (w *world) do(o op) {
	if len(w.refs) == 0 {
		o.verb = "start"
	} else {
		o.a, o.b = o.a%len(w.refs), o.b%len(w.refs)
	}
	switch o.verb {
	case "start":
		w.m.start(o.on, -1)
		w.start(quiet, Options{TrapExit: o.on})
		return
	case "child":
		if w.m[o.a].alive {
			w.m.start(o.on, o.a)
			w.start(w.refs[o.a].s, Options{TrapExit: o.on, Link: true})
		}
		return
	}
	p, self := w.m[o.a], w.refs[o.a]
	switch o.verb {
	case "cast":
		w.m.post(o.a, 1)
		_ = self.Cast(1)
	case "stop":
		w.m.post(o.a, o.r)
		_ = self.Cast(Stop(o.r))
	case "exit":
		w.m.exit(o.a, -1, o.r)
		self.PID().Exit(o.r)
	case "kill":
		if p.alive {
			w.m.die(o.a, Reason{Kind: Killed})
		}
		self.PID().Kill()
	case "shutdown":
		if p.alive {
			w.m.die(o.a, Reason{Kind: Shutdown})
		}
		_ = self.PID().Shutdown(quiet)
	case "suspend", "resume":
		if o.verb == "suspend" && p.alive {
			p.suspended = true
			_ = self.PID().Suspend(quiet)
		} else if p.alive {
			w.m.resume(o.a)
			_ = self.PID().Resume(quiet)
		}
	default:
		w.relate(o, p, self)
	}
}

// relate makes and takes back links and monitors.
func (w *world) relate(o op, p *modelProc, self Ref[any]) {
	other, id := w.m[o.b], w.refs[o.b].PID()
	pair := [2]int{o.a, o.b}
	switch o.verb {
	case "link":
		switch {
		case !p.alive || o.a == o.b:
		case other.alive:
			w.m.tie(o.a, o.b)
		default:
			w.m.exit(o.a, o.b, noProc)
		}
		self.s.Link(id)
	case "unlink":
		delete(p.links, o.b)
		delete(other.links, o.a)
		self.s.Unlink(id)
	case "monitor":
		switch {
		case !p.alive:
		case other.alive:
			p.monitors[o.b]++
		default:
			w.m.post(o.a, downText(o.b, noProc))
		}
		w.mons[pair] = append(w.mons[pair], self.s.Monitor(id))
	case "demonitor":
		if n := len(w.mons[pair]); n > 0 {
			if self.s.Demonitor(w.mons[pair][n-1]) {
				p.monitors[o.b]--
			}
			w.mons[pair] = w.mons[pair][:n-1]
		}
	}
}

// differs says where the real thing is not as its model.
func (w *world) differs() string {
	for i, p := range w.m {
		info := w.refs[i].PID().Info()
		status, watchers, watched := StatusIdle, 0, 0
		switch {
		case !p.alive:
			status = StatusEnded
		case p.suspended:
			status = StatusSuspended
		}
		for _, other := range w.m {
			watchers += other.monitors[i]
		}
		for _, n := range p.monitors {
			watched += n
		}
		var links []int
		for _, id := range info.Links {
			links = append(links, w.index(id))
		}
		slices.Sort(links)
		var want []int
		for j := range p.links {
			want = append(want, j)
		}
		slices.Sort(want)
		slices.Sort(w.told[i])
		slices.Sort(p.told)
		is := fmt.Sprint(info.Status, info.Reason.Kind, info.Mailbox, links, info.Monitors, info.WatchedBy)
		should := fmt.Sprint(status, p.reason.Kind, len(p.box), want, watched, watchers)
		if p.alive { // what one is told that ends of the same cause depends on who is faster
			is += fmt.Sprint(w.told[i])
			should += fmt.Sprint(p.told)
		}
		if is != should {
			return fmt.Sprintf("process %d\nis     %s\nshould %s", i, is, should)
		}
		if handled := info.Messages - uint64(len(p.told)); p.alive && int(handled) != p.handled {
			return fmt.Sprintf("process %d has handled %d, should %d", i, handled, p.handled)
		}
	}
	return ""
}

// Any sequence of starts, messages, exits, kills, links, monitors, suspensions does what the model says.
func TestModel(t *testing.T) {
	t.Parallel()
	for range 5 { // of the hundred that -rapid.checks is by default
		rapid.Check(t, func(rt *rapid.T) { checkModel(t, rt) })
	}
}

func checkModel(t *testing.T, rt *rapid.T) {
	script := rapid.SliceOfN(ops, 1, 40).Draw(rt, "ops")
	fault := ""
	synctest.Test(t, func(*testing.T) {
		w := &world{mons: make(map[[2]int][]MonitorRef)}
		var story []string
		for _, o := range script {
			story = append(story, o.String())
			w.do(o)
			synctest.Wait()
			if fault = w.differs(); fault != "" {
				fault = strings.Join(story, " ") + "\n" + fault
				break
			}
		}
		for _, r := range w.refs {
			r.PID().Kill()
		}
	})
	if fault != "" {
		rt.Fatal(fault)
	}
}
