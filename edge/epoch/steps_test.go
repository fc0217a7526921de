package epoch

import "fmt"

// step is one step of one participant: a request, a drainer, or who changes. ok is false when it has none now.
func (m *model) step(s state, who int) (next state, name string, ok bool) {
	for i := range s.r {
		s.r[i].started = false
	}
	switch {
	case who < maxRequests:
		name, ok = m.request(&s, &s.r[who], int8(who%shards))
		name = fmt.Sprintf("request %d %s", who, name)
	case who < maxRequests+releases:
		name, ok = m.drain(&s, int8(who-maxRequests))
	default:
		name, ok = m.change(&s)
	}
	return s, name, ok
}

func (m *model) request(s *state, r *request, shard int8) (string, bool) {
	switch r.pc {
	case rLoad:
		*r = request{snap: s.current, served: r.served, pc: rChannel}
		if v := m.values[r.snap]; v != holding {
			r.rel, r.pc = int8(v), rCount
			if m.mutation == "look before the count" {
				r.pc = rCheck
			}
		}
		return fmt.Sprintf("loads %d", r.snap), true
	case rCount:
		s.count[r.rel][shard]++
		if r.pc = rCheck; m.mutation == "look before the count" {
			r.pc, r.started = rHead, true
		}
		return "counts itself", true
	case rCheck:
		same := s.current == r.snap || m.mutation == "no look behind the count"
		switch {
		case m.mutation == "look before the count" && same:
			r.pc = rCount
		case m.mutation == "look before the count":
			r.pc = rLoad
		case same:
			r.pc, r.started = rHead, true
		default:
			r.pc = rUndo
		}
		return "looks again", true
	case rUndo:
		m.release(s, r.rel, shard, m.mutation != "undo without telling")
		r.pc = rLoad
		return "takes its count back", true
	case rHead, rBody:
		r.pc++
		by := r.rel
		if m.mutation == "serve by what is current" && m.values[s.current] != holding {
			by = int8(m.values[s.current])
		}
		r.served |= 1 << by
		return "is served", true
	case rRelease:
		if m.mutation == "release another shard" {
			shard = 1 - shard
		}
		m.release(s, r.rel, shard, true)
		r.pc = rDone
		return "releases", true
	}
	return m.wait(s, r)
}

// wait is Changed, and the receive from it.
func (m *model) wait(s *state, r *request) (string, bool) {
	switch r.pc {
	case rChannel:
		if m.mutation == "channel behind the look" && r.ch == 0 {
			if r.ch = -1; s.current != r.snap { // looked, and has no channel yet
				r.pc, r.ch = rLoad, 0
			}
			return "looks", true
		}
		if r.pc = rMake; s.ch != 0 {
			r.ch, r.pc = s.ch, m.afterChannel()
		}
		return "loads the channel", true
	case rMake:
		if r.pc = rChannel; s.ch == 0 {
			s.made++
			s.ch, r.ch, r.pc = s.made, s.made, m.afterChannel()
		}
		return "makes a channel", true
	case rRecheck:
		if r.pc = rWait; s.current != r.snap {
			r.pc, r.ch = rLoad, 0
		}
		return "looks behind the channel", true
	case rWait:
		if s.closed&(1<<r.ch) == 0 {
			return "", false
		}
		r.pc, r.ch = rLoad, 0
		return "wakes", true
	}
	return "", false
}

func (m *model) afterChannel() int8 {
	if m.mutation == "channel behind the look" {
		return rWait
	}
	return rRecheck
}

// release is Count.Release: the decrement says whether the Count is retired, so telling needs no second look.
func (m *model) release(s *state, rel, shard int8, tell bool) {
	s.count[rel][shard]--
	if s.count[rel][shard] == 0 && s.retired[rel][shard] && tell {
		s.told[rel] = true
	}
}

// drain waits for the end of release d.
func (m *model) drain(s *state, d int8) (string, bool) {
	pc := &s.drainer[d]
	switch {
	case *pc == dOff || *pc == dDone:
		return "", false
	case *pc == dAsleep:
		if !s.told[d] {
			return "", false
		}
		s.told[d], *pc = false, 0
		return fmt.Sprintf("drainer %d is told", d), true
	}
	shard := *pc
	idle := s.count[d][shard] == 0 && (s.retired[d][shard] || m.mutation == "look for idle before retiring")
	switch {
	case !idle:
		*pc = dAsleep
	case shard == shards-1:
		*pc = dDone
	default:
		*pc++
	}
	return fmt.Sprintf("drainer %d looks at shard %d: %v", d, shard, idle), true
}

// change is one step of the plan. A swap restores what comes back, shard by shard, swaps the value, takes and closes the
// channel, and retires what is left out, shard by shard. What it restores is not waited for any more.
func (m *model) change(s *state) (string, bool) {
	if int(s.op) == len(m.ops) {
		return "", false
	}
	o := m.ops[s.op]
	done := true
	switch o.kind {
	case "swap":
		done = m.swap(s, o.arg)
	case "await":
		if s.drainer[o.arg] != dDone {
			return "", false
		}
	case "migrate", "resume":
		s.migrating = o.kind == "migrate"
	}
	name := fmt.Sprintf("%s %d.%d", o.kind, o.arg, s.at)
	if s.at++; done {
		s.op, s.at = s.op+1, 0
	}
	return name, true
}

// swap does step s.at of a swap to value to, and reports whether it was the last.
func (m *model) swap(s *state, to int8) bool {
	out, in := m.values[s.current], m.values[to]
	if s.at > shards { // current is the new one by now; plans go through the values in order
		out = m.values[to-1]
	}
	first, second := int8(shards), int8(shards+1)
	if m.mutation == "close before the value" {
		first, second = second, first
	}
	switch at := s.at; {
	case at < shards:
		if in != holding {
			s.retired[in][at], s.drainer[in], s.told[in] = false, dOff, false
		}
		if m.mutation == "drained before the swap" && out != holding && out != in && s.count[out] == [shards]int8{} {
			s.drainer[out] = dDone
		}
	case at == first:
		s.current = to
	case at == second:
		if s.ch != 0 {
			s.closed |= 1 << s.ch
			s.ch = 0
		}
		if m.mutation == "look for idle before retiring" && out != holding && out != in {
			s.drainer[out] = 0
		}
	default:
		shard := at - shards - 2
		if out != holding && out != in {
			s.retired[out][shard] = true
			if shard == shards-1 && s.drainer[out] == dOff {
				s.drainer[out] = 0
			}
		}
		return shard == shards-1
	}
	return false
}
