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
	last, same, many := -1, 0, 0
	var state []string
	for {
		p.mu.Lock()
		events := len(p.events)
		p.mu.Unlock()
		now, still, blocked := p.look()
		if still && events == last && slices.Equal(now, state) {
			same++
		} else {
			same = 0
		}
		last, state = events, now
		many = 1
		if blocked {
			many = looks
		}
		if same >= many {
			break
		}
		time.Sleep(poll)
	}
	return p.tell(t, head, state)
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
	sups := maps.Clone(p.supervisors)
	calls := slices.Clone(p.pending)
	failed, stopped := p.rootErr != nil, p.stopped
	var gates []string
	for path := range p.blocked {
		gates = append(gates, path)
	}
	for i, q := range calls {
		c := *q
		calls[i] = &c
	}
	p.mu.Unlock()
	busy := func(path string) bool {
		return slices.ContainsFunc(gates, func(g string) bool { return path == "" || strings.HasPrefix(g, path+"/") })
	}
	for _, q := range calls {
		if q.answer == "" && !busy(q.path) {
			return nil, false, len(gates) > 0
		}
	}
	if sups[""] == nil {
		if len(gates) > 0 {
			return []string{"  / starting"}, true, true
		}
		return nil, failed, false
	}
	for _, path := range slices.Sorted(maps.Keys(sups)) {
		switch ok, gone := p.describe(path, sups[path], busy(path), &state); {
		case gone && path == "":
			return nil, true, false
		case !ok, stopped && len(gates) == 0:
			return nil, false, len(gates) > 0
		}
	}
	return state, true, len(gates) > 0
}

// describe appends what one supervisor says of its children, and reports whether they are all at rest, or it is gone.
func (p *play) describe(path string, s supervisor, busy bool, state *[]string) (still, gone bool) {
	select {
	case <-s.Done():
		return false, true
	default:
	}
	if busy {
		*state = append(*state, fmt.Sprintf("  /%s busy", path))
		return true, false
	}
	var kids []string
	if n, ok := s.(*nested); ok {
		s = n.supervisor
	}
	for _, i := range s.Children() {
		switch i.State {
		case supervise.StateUndefined:
			kids = append(kids, i.ID+" undefined")
		case supervise.StateRunning:
			select {
			case <-i.Child.Done():
				return false, false
			default:
			}
			kids = append(kids, i.ID+" up")
		default:
			return false, false
		}
	}
	if _, ok := s.(*supervise.Dynamic); ok {
		slices.Sort(kids) // OTP has no order there
	}
	n := s.Count()
	line := fmt.Sprintf("  /%s %s; active %d, supervisors %d, workers %d",
		path, strings.Join(kids, ", "), n.Active, n.Supervisors, n.Workers)
	*state = append(*state, line)
	return true, false
}
