package epoch

import (
	"fmt"
	"slices"
	"strings"
)

// The model is the protocol as the steps that sync/atomic makes indivisible, one access to shared memory each, for a
// few requests, one who changes, and one who waits for the drain of each release. Its steps carry the name of the line
// they stand for. explore visits every state that any order of the steps can reach. Go's atomics are sequentially
// consistent, so orders of steps are all there is.

const (
	releases    = 2
	shards      = 2
	maxRequests = 3
	holding     = -1 // what a value that holds says in place of a release
)

// A value is what Current holds: the release that may serve, or holding.
type value int8

// What a request does next.
const (
	rLoad int8 = iota // s = current; a holding one: wait
	rCount
	rCheck // current == s
	rUndo
	rHead // begins to serve: everything from here to rRelease uses the release
	rBody
	rRelease
	rDone
	rChannel // Changed: load the channel
	rMake    // Changed: install one
	rRecheck // Changed: current == s
	rWait
)

type request struct {
	pc, snap, rel, ch int8
	served            int8 // by which releases, as bits
	started           bool // in the last step, so that it is compared with what was current in it
}

func (r request) uses() bool { return r.pc == rHead || r.pc == rBody || r.pc == rRelease }

// What a drainer does next: wait until its release is retired, look at shard 0, 1, …, wait to be told.
const (
	dOff    int8 = -1
	dAsleep int8 = shards
	dDone   int8 = shards + 1
)

type state struct {
	current int8
	ch      int8   // 0: nil
	made    int8   // channels so far
	closed  uint16 // by channel
	r       [maxRequests]request
	count   [releases][shards]int8
	retired [releases][shards]bool
	drainer [releases]int8
	told    [releases]bool

	op, at    int8 // which operation of the plan, which of its steps
	migrating bool
}

// An op is one operation of whoever changes.
type op struct {
	kind string // swap, await, migrate, resume
	arg  int8
}

type plan struct {
	name   string
	values []value
	ops    []op
}

var plans = []plan{
	{"cutover", []value{0, 1}, []op{{"swap", 1}, {"await", 0}}},
	{"hold, migrate, go on", []value{0, holding, 1}, []op{{"swap", 1}, {"await", 0}, {"migrate", 0}, {"resume", 0}, {"swap", 2}}},
	{"hold and back", []value{0, holding, 0}, []op{{"swap", 1}, {"swap", 2}}},
	{"hold, back, hold", []value{0, holding, 0, holding, 1}, []op{{"swap", 1}, {"swap", 2}, {"swap", 3}, {"await", 0}, {"swap", 4}}},
	{"over, back, over", []value{0, 1, 0, 1}, []op{{"swap", 1}, {"swap", 2}, {"await", 1}, {"swap", 3}, {"await", 0}}},
}

// mutations are the protocol with one step wrong. The model must find the fault in each.
var mutations = []string{
	"no look behind the count", "look before the count", "serve by what is current", "undo without telling",
	"look for idle before retiring", "channel behind the look", "close before the value", "release another shard", "drained before the swap",
}

type model struct {
	plan
	requests int
	mutation string
}

// A violation is an order of steps after which something that must hold does not.
type violation struct {
	what  string
	trace []string
}

func (v *violation) Error() string { return v.what + ", after " + strings.Join(v.trace, "; ") }

func (m *model) first() state {
	s := state{}
	for i := range s.r {
		s.r[i].pc = rDone
		if i < m.requests {
			s.r[i].pc = rLoad
		}
	}
	for d := range s.drainer {
		s.drainer[d] = dOff
	}
	return s
}

// explore visits every state once, and fails on the first that breaks an invariant, on an end with something unfinished,
// and on a way to go round in circles: without those every request of every order ends as it should.
func (m *model) explore() (states int, v *violation) {
	const open, closed = 1, 2
	seen := make(map[state]int8)
	var trace []string
	var visit func(s state) *violation
	visit = func(s state) *violation {
		if what := m.broken(s); what != "" {
			return &violation{what, slices.Clone(trace)}
		}
		seen[s] = open
		end := true
		for who := range maxRequests + releases + 1 {
			next, step, ok := m.step(s, who)
			if !ok {
				continue
			}
			end = false
			trace = append(trace, step)
			switch seen[next] {
			case open:
				return &violation{"it can go on for ever", slices.Clone(trace)}
			case 0:
				if v := visit(next); v != nil {
					return v
				}
			}
			trace = trace[:len(trace)-1]
		}
		if what := m.unfinished(s); end && what != "" {
			return &violation{what, slices.Clone(trace)}
		}
		seen[s] = closed
		return nil
	}
	v = visit(m.first())
	return len(seen), v
}

// broken is the invariant that s breaks.
func (m *model) broken(s state) string {
	now := m.values[s.current]
	for i, r := range s.r {
		switch {
		case r.uses() && s.drainer[r.rel] == dDone:
			return fmt.Sprintf("drain: request %d uses release %d, which was said to be drained", i, r.rel)
		case r.uses() && s.migrating:
			return fmt.Sprintf("hold: request %d is served during the migration", i)
		case r.served&(r.served-1) != 0:
			return fmt.Sprintf("whole: request %d is served by two releases", i)
		case r.pc == rDone && i < m.requests && r.served == 0:
			return fmt.Sprintf("lost: request %d ended without an answer", i)
		case r.started:
			if now == holding {
				return fmt.Sprintf("hold: request %d starts while all are held", i)
			}
			if int8(now) != r.rel {
				return fmt.Sprintf("cutover: request %d starts on release %d after it was left out", i, r.rel)
			}
		}
	}
	return ""
}

// unfinished is what a state that has no successor lacks.
func (m *model) unfinished(s state) string {
	for i, r := range s.r {
		if r.pc != rDone {
			return fmt.Sprintf("lost: request %d waits for ever", i)
		}
	}
	if int(s.op) != len(m.ops) {
		return fmt.Sprintf("drain: %v is waited for, and never ends", m.ops[s.op])
	}
	if s.count != [releases][shards]int8{} {
		return fmt.Sprintf("drain: %v in flight when all is over", s.count)
	}
	for d, pc := range s.drainer {
		if pc != dOff && pc != dDone {
			return fmt.Sprintf("drain: the end of release %d is never noticed", d)
		}
	}
	return ""
}
