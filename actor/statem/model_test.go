package statem_test

import (
	"fmt"
	"slices"
)

// model plays a play as the documentation of gen_statem says it, in the simplest words: lists, looked through from the
// front. Handling takes no time.
type model struct {
	play      *play
	now       int
	state     int
	done      [events + 1]int // how often an event was handled
	inbox     []happening
	queue     []happening
	postponed []happening
	running   []clock
	asked     int
	last      int // when something happened
	trace     []string
	strange   bool // a timeout took the place of a zero one, which OTP 25 gets wrong
	unclear   bool // two things happened so close together that their order is nobody's to say
}

type happening struct {
	how   string // "" message, ! info, i internal; or state, event, x, y
	event int
	clock int // of one that struck: the number of its clock
}

type clock struct {
	how    string
	event  int
	number int
	at     int
	zero   bool // comes when the queue is empty
	struck bool // its happening is in the inbox
}

// turn is what one turn asks for.
type asks struct {
	next             int
	repeat, postpone bool
	events           []int
	timeouts         []action
}

func modelled(p *play) *model {
	m := &model{play: p}
	m.enter(&asks{}, 0)
	m.work()
	for i, b := range p.bursts {
		m.advance(i * apart)
		m.pass(m.now)
		for _, n := range b.send {
			h := happening{event: max(n, -n)}
			if n < 0 {
				h.how = "!"
			}
			m.inbox = append(m.inbox, h)
		}
		if b.hold > 0 {
			m.strikes(m.now + b.hold)
			m.pass(m.now)
		}
		m.work()
	}
	m.advance(end)
	for _, c := range m.running {
		m.unclear = m.unclear || !c.struck // longer than a play lasts
	}
	return m
}

// pass notes that something happens now.
func (m *model) pass(now int) {
	if m.last > 0 && now-m.last < margin {
		m.unclear = true
	}
	m.now, m.last = now, now
	for _, c := range m.running {
		if !c.zero && !c.struck && c.at-now < margin {
			m.unclear = true
		}
	}
}

// advance lets time pass until all that is over by then has been handled.
func (m *model) advance(until int) {
	for m.strikeNext(until) {
		m.work()
	}
	m.now = until
}

// strikes lets time pass without handling anything.
func (m *model) strikes(until int) {
	for m.strikeNext(until) {
	}
	m.now = until
}

func (m *model) strikeNext(until int) bool {
	first := -1
	for i, c := range m.running {
		if c.zero || c.struck || c.at > until {
			continue
		}
		if first < 0 || c.at < m.running[first].at {
			first = i
		}
	}
	if first < 0 {
		return false
	}
	c := &m.running[first]
	c.struck = true
	m.pass(c.at)
	m.inbox = append(m.inbox, happening{c.how, c.event, c.number})
	return true
}

// work handles all there is.
func (m *model) work() {
	for {
		switch zero := slices.IndexFunc(m.running, func(c clock) bool { return c.zero }); {
		case len(m.queue) > 0:
			h := m.queue[0]
			m.queue = m.queue[1:]
			m.handle(h)
		case zero >= 0:
			c := m.running[zero]
			m.running = slices.Delete(m.running, zero, zero+1)
			m.handle(happening{how: c.how, event: c.event})
		case len(m.inbox) > 0:
			h := m.inbox[0]
			m.inbox = m.inbox[1:]
			if h.clock == 0 {
				m.handle(h)
				continue
			}
			i := slices.IndexFunc(m.running, func(c clock) bool { return c.number == h.clock })
			if i >= 0 {
				h = happening{how: h.how, event: m.running[i].event} // as it was updated
				m.running = slices.Delete(m.running, i, i+1)
				m.handle(h)
			}
		default:
			return
		}
	}
}

func (m *model) handle(h happening) {
	m.trace = append(m.trace, fmt.Sprintf("%d:%s%d", m.state, h.how, h.event))
	a := &asks{next: m.state}
	if turns := m.play.on[h.event]; m.done[h.event] < len(turns) {
		for _, do := range turns[m.done[h.event]] {
			switch do.verb {
			case "goto":
				a.next = do.args[0]
			case "repeat":
				a.repeat = true
			case "postpone":
				a.postpone = true
			case "next":
				a.events = append(a.events, do.args[0])
			default:
				a.timeouts = append(a.timeouts, do)
			}
		}
	}
	m.done[h.event]++
	if a.postpone {
		m.postponed = append(m.postponed, h)
	}
	from, changed := m.state, a.next != m.state
	m.drop("event")
	if changed {
		m.state = a.next
		m.queue = append(m.postponed, m.queue...)
		m.postponed = nil
		m.drop("state")
	}
	if changed || a.repeat {
		m.enter(a, from)
		return
	}
	m.finish(a)
}

func (m *model) enter(a *asks, from int) {
	m.trace = append(m.trace, fmt.Sprintf("%d>%d", from, m.state))
	a.timeouts = append(a.timeouts, m.play.enter[m.state]...)
	m.finish(a)
}

func (m *model) finish(a *asks) {
	for i, do := range a.timeouts {
		same := func(later action) bool { return slot(later) == slot(do) }
		if !slices.ContainsFunc(a.timeouts[i+1:], same) {
			m.time(do)
		}
	}
	for i, n := range a.events {
		m.queue = slices.Insert(m.queue, i, happening{how: "i", event: n})
	}
}

func (m *model) drop(how string) {
	m.running = slices.DeleteFunc(m.running, func(c clock) bool { return c.how == how })
}

// slot is which timeout an action is about.
func slot(a action) string {
	if len(a.args) == 2 {
		return a.verb
	}
	return a.verb[1:]
}

func (m *model) time(do action) {
	m.asked++
	switch how := do.verb; how {
	case "cstate", "cx", "cy":
		m.drop(how[1:])
	case "ustate", "ux", "uy":
		for i := range m.running {
			if c := &m.running[i]; c.how == how[1:] {
				c.event = do.args[0]
				return
			}
		}
		m.running = append(m.running, clock{how: how[1:], event: do.args[0], number: m.asked, zero: true})
	default:
		if do.args[0] > 0 && slices.ContainsFunc(m.running, func(c clock) bool { return c.how == how && c.zero }) {
			m.strange = true
		}
		m.drop(how)
		m.running = append(m.running, clock{how, do.args[1], m.asked, m.now + do.args[0], do.args[0] == 0, false})
	}
}
