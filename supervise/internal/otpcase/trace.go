package otpcase

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Trace is what happened in one case, line by line, in canonical form: see the package's doc.
type Trace struct {
	Name  string
	Lines []string
}

// String is the trace as it is printed: a heading, then the lines.
func (t Trace) String() string { return "case " + t.Name + "\n" + strings.Join(t.Lines, "\n") + "\n" }

func (t *Trace) add(format string, args ...any) {
	t.Lines = append(t.Lines, fmt.Sprintf(format, args...))
}

// ParseTraces reads what String has written, any number of them.
func ParseTraces(text string) (map[string]Trace, error) {
	all := map[string]Trace{}
	var name string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if n, ok := strings.CutPrefix(line, "case "); ok {
			if _, twice := all[n]; twice {
				return nil, fmt.Errorf("two traces of case %s", n)
			}
			name = n
			all[name] = Trace{Name: n}
			continue
		}
		t, ok := all[name]
		if !ok {
			return nil, fmt.Errorf("a line outside of any case: %q", line)
		}
		t.Lines = append(t.Lines, line)
		all[name] = t
	}
	return all, nil
}

// An event is something a child did, or suffered.
type event struct {
	verb   string
	who    identity
	detail string
}

func (e event) String() string {
	return strings.TrimRight(fmt.Sprintf("  %s %s %s", e.verb, e.who.path, e.detail), " ")
}

// write appends to the events.
func (p *play) write(verb string, who identity, detail ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(verb, who, detail...)
}

// add is write with the lock held.
func (p *play) add(verb string, who identity, detail ...string) {
	p.events = append(p.events, event{verb, who, strings.Join(detail, " ")})
}

// canonical sorts what happened in parallel. After a release, each supervisor goes on for itself. And within an unbroken
// run of ends below one simple_one_for_one, one child's come after the other's.
func canonical(head string, events []event) []event {
	if strings.Contains(head, "release") {
		slices.SortStableFunc(events, func(a, b event) int {
			p, _ := parent(a.who.path)
			q, _ := parent(b.who.path)
			return cmp.Compare(p, q)
		})
	}
	for i := 0; i < len(events); {
		n := 0
		for _, e := range events[i:] {
			if e.verb != "stop" && e.verb != "down" || e.who.pool == "" || e.who.pool != events[i].who.pool {
				break
			}
			n++
		}
		slices.SortStableFunc(events[i:i+n], func(a, b event) int { return cmp.Compare(a.who.slot, b.who.slot) })
		i += max(n, 1)
	}
	return events
}
