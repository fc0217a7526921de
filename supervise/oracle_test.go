package supervise

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// verses is the golden file by scenario: events and children.
func verses(t *testing.T) map[string][2]string {
	t.Helper()
	f, err := os.Open("testdata/otp25.trace")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][2]string{}
	var name string
	var v [2]string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		switch body := strings.TrimSpace(line); {
		case strings.HasPrefix(line, "%"):
		case line != body:
			if s, ok := strings.CutPrefix(body, "events "); ok {
				v[0] = s
			} else if s, ok := strings.CutPrefix(body, "children "); ok {
				v[1] = s
			}
			all[name] = v
		default:
			name, _, _ = strings.Cut(line, " ")
			v = [2]string{}
		}
	}
	return all
}

// verse tells what has happened in the words of the golden file.
func (l *lab) verse(s *Supervisor, bootErr error) [2]string {
	var events []string
	for what := range strings.SplitSeq(l.take(), ", ") {
		if verb, id, ok := strings.Cut(what, " "); ok {
			events = append(events, fmt.Sprintf("{%s,%s}", verb, id))
		}
	}
	if bootErr != nil {
		events = append(events, "{'EXIT',{shutdown,{failed_to_start_child,e,nope}}}")
		return [2]string{"[" + strings.Join(events, ",") + "]", "dead"}
	}
	select {
	case <-s.Done():
		events = append(events, fmt.Sprintf("{'EXIT',%v}", s.Reason().Kind))
		return [2]string{"[" + strings.Join(events, ",") + "]", "dead"}
	default:
	}
	var kids []string
	for _, c := range slices.Backward(s.Children()) {
		kids = append(kids, fmt.Sprintf("{%s,%s}", c.ID, strings.Replace(c.State.String(), "running", "up", 1)))
	}
	return [2]string{"[" + strings.Join(events, ",") + "]", "[" + strings.Join(kids, ",") + "]"}
}

// A scene plays one scenario; a supervisor that did not start comes with its error.
type scene func(l *lab) (*Supervisor, error)

// TestOracle plays the scenarios of the golden file, whose outcome is real OTP's.
func TestOracle(t *testing.T) {
	golden := verses(t)
	scenes := map[string]scene{
		"A": oneForAllAfter(func(l *lab, s *Supervisor) { l.ends(Reason{Kind: Normal}, "b") }),
		"B": oneForAllAfter(func(l *lab, s *Supervisor) { l.ok(s.TerminateChild(bg, "a")) }),
		"C": restForOne(false),
		"D": restForOne(true),
		"E": func(l *lab) (*Supervisor, error) {
			return l.failing(l.sup(Flags{Strategy: OneForAll, Intensity: 5}, l.specs("a b e")...), "b", "e"), nil
		},
		"F": twoFailures,
		"F2": func(l *lab) (*Supervisor, error) {
			s, _ := twoFailures(l)
			l.take()
			l.crash("a")
			return s, nil
		},
		"G": func(l *lab) (*Supervisor, error) {
			s := l.sup(Flags{}, l.specs("a z")...)
			l.take()
			l.crash("a")
			return s, nil
		},
		"H":  crashes(time.Second, 4),
		"H2": crashes(1600*time.Millisecond, 5),
		"I":  autoShutdown(AnySignificant, func(l *lab, s *Supervisor) { l.ends(Reason{Kind: Normal}, "b") }, insignificant),
		"J":  autoShutdown(AnySignificant, func(l *lab, s *Supervisor) { l.ok(s.TerminateChild(bg, "b")) }),
		"K": autoShutdown(AllSignificant, func(l *lab, s *Supervisor) {
			l.ok(s.TerminateChild(bg, "b"))
			l.ends(Reason{Kind: Normal}, "d")
		}, transient, significant),
		"L": func(l *lab) (*Supervisor, error) {
			l.fails["e"] = 1
			return Start(bg, Flags{Intensity: 1}, l.specs("a b e z"), Options{})
		},
		"M": func(l *lab) (*Supervisor, error) {
			s := l.sup(Flags{Strategy: RestForOne, Intensity: 1}, l.specs("a b")...)
			l.ok(s.StartChild(bg, l.spec("x")))
			l.take()
			l.ok(s.Stop(bg))
			return s, nil
		},
		"N": terminatedWhileLooping,
	}
	if len(scenes) != len(golden) {
		t.Errorf("%d scenes, %d in the golden file", len(scenes), len(golden))
	}
	for name, play := range scenes {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(l *lab) {
				s, err := play(l)
				if diff := cmp.Diff(golden[name], l.verse(s, err)); diff != "" {
					t.Errorf("OTP (-) and semper (+) differ:\n%s", diff)
				}
			})
		})
	}
}

// failing crashes one child while two starts of another are going to fail.
func (l *lab) failing(s *Supervisor, crashing, failing string) *Supervisor {
	l.take()
	l.set(func() { l.fails[failing] = 2 })
	l.crash(crashing)
	return s
}

func oneForAllAfter(f func(*lab, *Supervisor)) scene {
	return func(l *lab) (*Supervisor, error) {
		s := l.sup(Flags{Strategy: OneForAll, Intensity: 5}, l.spec("a"), l.spec("b", transient), l.spec("d"))
		f(l, s)
		l.take()
		l.crash("d")
		return s, nil
	}
}

// restForOne crashes b; then, for failing, once more, on the same supervisor as in the run of the golden file.
func restForOne(failing bool) scene {
	return func(l *lab) (*Supervisor, error) {
		s := l.sup(Flags{Strategy: RestForOne, Intensity: 5}, l.spec("a"), l.spec("b"), l.spec("d", temporary), l.spec("e"))
		l.take()
		l.crash("b")
		if failing {
			l.failing(s, "b", "e")
		}
		return s, nil
	}
}

// autoShutdown plays f on a, a significant b, and d, if there are options for it.
func autoShutdown(mode AutoShutdown, f func(*lab, *Supervisor), d ...func(*ChildSpec)) scene {
	return func(l *lab) (*Supervisor, error) {
		specs := []ChildSpec{l.spec("a"), l.spec("b", transient, significant)}
		if len(d) > 0 {
			specs = append(specs, l.spec("d", d...))
		}
		s := l.sup(Flags{AutoShutdown: mode, Intensity: 3}, specs...)
		l.take()
		f(l, s)
		return s, nil
	}
}

func twoFailures(l *lab) (*Supervisor, error) {
	return l.failing(l.sup(Flags{Intensity: 3, Period: 10 * time.Second}, l.specs("a z")...), "a", "a"), nil
}

func crashes(every time.Duration, times int) scene {
	return func(l *lab) (*Supervisor, error) {
		s := l.sup(Flags{Intensity: 2, Period: 2 * time.Second}, l.specs("a")...)
		l.take()
		for range times {
			l.crash("a")
			time.Sleep(every)
		}
		return s, nil
	}
}

func terminatedWhileLooping(l *lab) (*Supervisor, error) {
	s := l.sup(Flags{Intensity: 1 << 30}, l.specs("a")...)
	l.set(func() { l.fails["a"] = 1 << 30 })
	// Without crash, which waits for a rest that never comes.
	l.unit("a").end(Reason{Kind: Crash})
	<-l.failed
	l.ok(s.TerminateChild(bg, "a"))
	synctest.Wait()
	l.take()
	return s, nil
}
