package otpcase

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"semper/supervise"
)

const (
	// poll is the time between two looks. In a bubble it passes when everything else waits.
	poll = 2 * time.Millisecond
	// looks is how many in a row must see the same, while something is blocked: then an end or a call can be on its way
	// to a mailbox without a sign.
	looks = 5
)

// rest waits until nothing moves by itself any more, writes down what happened since the last rest, and reports
// whether the root lives.
func (p *play) rest(t *Trace, head string) bool {
	var last []string
	for same, events := 0, -1; ; time.Sleep(poll) {
		p.mu.Lock()
		n := len(p.events)
		p.mu.Unlock()
		state, still, blocked := p.look()
		if !still || n != events || !slices.Equal(state, last) {
			same, events, last = 0, n, state
			continue
		}
		same++
		if same == looks || !blocked {
			return p.tell(t, head, state)
		}
	}
}

// tell writes down one step.
func (p *play) tell(t *Trace, head string, state []string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.add("%s", head)
	for _, e := range canonical(head, p.events) {
		t.add("%v", e)
	}
	p.events = nil
	for _, q := range p.answered() {
		t.add("  answer %d: %s", q.step, q.answer)
	}
	for _, line := range state {
		if !slices.Contains(p.state, line) {
			t.Lines = append(t.Lines, line)
		}
	}
	p.state = state
	return len(state) > 0
}

// look describes the supervisors that live, or says that something still moves, or that a start is blocked.
func (p *play) look() (state []string, still, blocked bool) {
	p.mu.Lock()
	sups, gates := maps.Clone(p.supervisors), slices.Collect(maps.Keys(p.blocked))
	failed, stopped := p.rootErr != nil, p.stopped
	waits := slices.ContainsFunc(p.pending, func(q *pending) bool { return q.answer == "" && !busy(q.path, gates) })
	p.mu.Unlock()
	blocked = len(gates) > 0
	switch {
	case failed:
		return nil, true, blocked
	case waits, sups[""] == nil && !blocked:
		return nil, false, blocked
	case sups[""] == nil:
		state = []string{"  / starting"}
	}
	for _, path := range slices.Sorted(maps.Keys(sups)) {
		words, still, gone := describe(sups[path], busy(path, gates))
		switch {
		case gone && path == "":
			return nil, true, blocked
		case !still, stopped && !blocked:
			return nil, false, blocked
		}
		state = append(state, fmt.Sprintf("  /%s %s", path, words))
	}
	return state, true, blocked
}

// busy reports whether a start is blocked somewhere below the supervisor at path.
func busy(path string, gates []string) bool {
	return slices.ContainsFunc(gates, func(g string) bool { return path == "" || strings.HasPrefix(g, path+"/") })
}

// describe says what a supervisor says of its children, and whether they are all at rest, or it is gone.
func describe(s supervisor, busy bool) (words string, still, gone bool) {
	select {
	case <-s.Done():
		return "", false, true
	default:
	}
	if busy {
		return "busy", true, false
	}
	if n, ok := s.(*nested); ok {
		s = n.supervisor
	}
	var kids []string
	for _, i := range s.Children() {
		switch i.State {
		case supervise.StateUndefined:
			kids = append(kids, i.ID+" undefined")
		case supervise.StateRunning:
			select {
			case <-i.Child.Done():
				return "", false, false
			default:
			}
			kids = append(kids, i.ID+" up")
		default:
			return "", false, false
		}
	}
	if _, ok := s.(*supervise.Dynamic); ok {
		slices.Sort(kids) // OTP has no order there
	}
	n := s.Count()
	return fmt.Sprintf("%s; active %d, supervisors %d, workers %d", strings.Join(kids, ", "), n.Active, n.Supervisors, n.Workers), true, false
}
