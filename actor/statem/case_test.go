package statem_test

import (
	"fmt"
	"strconv"
	"strings"
)

// A play is a program for a machine, and when it is sent what: the input of the model, of this package, and of
// testdata/statem.escript, which plays it on gen_statem. Its text is the lines of String.
type play struct {
	enter  [states][]action       // what Enter of a state asks for
	on     [events + 1][][]action // what an event asks for when it is handled for the first, second ... time
	bursts []burst
}

// A burst is sent at a time of its own. The machine is suspended for hold, so that what strikes meanwhile waits behind
// what was sent.
type burst struct {
	hold int
	send []int // numbers of events; a negative one is sent as an info
}

const (
	states = 3
	events = 8

	// Milliseconds. Timeouts are multiples of 200, so that what strikes after different bursts is seldom close.
	apart  = 1266 // between bursts
	held   = 433  // the hold of a burst
	margin = 30   // what happens closer together may be seen in either order
	end    = 5000 // of a play
)

// An action is what is asked of a turn: goto 2, repeat, postpone, next 3, state 100 3, event 100 3, x 100 3, ustate 3,
// ux 3, cstate, cx; and the same for y.
type action struct {
	verb string
	args []int
}

func (a action) String() string {
	text := a.verb
	for _, n := range a.args {
		text += " " + strconv.Itoa(n)
	}
	return text
}

func texts[T fmt.Stringer](all []T, between string) string {
	var parts []string
	for _, a := range all {
		parts = append(parts, a.String())
	}
	return strings.Join(parts, between)
}

type turnText []action

func (t turnText) String() string { return texts(t, ",") }

func (p *play) String() string {
	var b strings.Builder
	for i, all := range p.enter {
		if len(all) > 0 {
			fmt.Fprintf(&b, "enter;%d;%s\n", i, texts(all, ","))
		}
	}
	for i, turns := range p.on {
		for _, t := range turns {
			fmt.Fprintf(&b, "on;%d;%s\n", i, turnText(t))
		}
	}
	for _, s := range p.bursts {
		fmt.Fprintf(&b, "burst;%d;%s\n", s.hold, strings.Trim(fmt.Sprint(s.send), "[]"))
	}
	return b.String()
}

// parsePlay reads what String writes.
func parsePlay(text string) (*play, error) {
	p := &play{}
	for line := range strings.Lines(text) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), ";")
		if len(parts) != 3 {
			return nil, fmt.Errorf("line %q: want three parts", line)
		}
		n, err := strconv.Atoi(parts[1])
		if err != nil || n < 0 {
			return nil, fmt.Errorf("line %q: want a number in the middle", line)
		}
		switch {
		case parts[0] == "enter" && n < states:
			p.enter[n] = parseActions(parts[2])
		case parts[0] == "on" && n <= events:
			p.on[n] = append(p.on[n], parseActions(parts[2]))
		case parts[0] == "burst":
			p.bursts = append(p.bursts, burst{n, numbers(strings.Fields(parts[2]))})
		default:
			return nil, fmt.Errorf("line %q: want enter, on or burst, in bounds", line)
		}
	}
	return p, nil
}

func parseActions(text string) []action {
	var all []action
	for part := range strings.SplitSeq(text, ",") {
		if f := strings.Fields(part); len(f) > 0 {
			all = append(all, action{f[0], numbers(f[1:])})
		}
	}
	return all
}

func numbers(fields []string) []int {
	all := make([]int, len(fields))
	for i, f := range fields {
		all[i], _ = strconv.Atoi(f)
	}
	return all
}

// generate makes a play; intn(n) is a number below n.
func generate(intn func(n int) int) *play {
	p := &play{}
	for i := range p.enter {
		for range max(intn(4)-2, 0) {
			p.enter[i] = append(p.enter[i], timed(intn))
		}
	}
	for i := 1; i <= events; i++ {
		for range intn(4) {
			var t []action
			for range intn(5) {
				t = append(t, anything(intn))
			}
			p.on[i] = append(p.on[i], t)
		}
	}
	for range 1 + intn(3) {
		s := burst{}
		if intn(3) == 0 {
			s.hold = held
		}
		for range 1 + intn(5) {
			n := 1 + intn(events)
			if intn(5) == 0 {
				n = -n
			}
			s.send = append(s.send, n)
		}
		p.bursts = append(p.bursts, s)
	}
	return p
}

func anything(intn func(int) int) action {
	switch k := intn(12); {
	case k < 3:
		return action{"goto", []int{intn(states)}}
	case k < 6:
		return action{verb: "postpone"}
	case k < 8:
		return action{"next", []int{1 + intn(events)}}
	case k == 8:
		return action{verb: "repeat"}
	}
	return timed(intn)
}

func timed(intn func(int) int) action {
	at := []string{"state", "event", "x", "y"}[intn(4)]
	brings := 1 + intn(events)
	switch k := intn(7); {
	case k == 5 && at != "event":
		return action{"u" + at, []int{brings}}
	case k == 6 && at != "event":
		return action{verb: "c" + at}
	}
	return action{at, []int{[]int{0, 0, 200, 400, 600, 1000}[intn(6)], brings}}
}
