package supervise

import (
	"bufio"
	"context"
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

// TestOracle plays the scenarios of the golden file, whose outcome is real OTP's.
func TestOracle(t *testing.T) {
	golden := verses(t)
	ctx := context.Background()
	play := func(name string, f func(l *lab) (*Supervisor, error)) {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(l *lab) {
				s, err := f(l)
				want, ok := golden[name]
				if !ok {
					t.Fatal("not in the golden file")
				}
				if diff := cmp.Diff(want, l.verse(s, err)); diff != "" {
					t.Errorf("OTP (-) and semper (+) differ:\n%s", diff)
				}
			})
		})
	}
	play("A", func(l *lab) (*Supervisor, error) {
		s := l.sup(Flags{Strategy: OneForAll, Intensity: 5}, l.spec("a"), l.spec("b", transient), l.spec("d"))
		l.ends(Reason{Kind: Normal}, "b")
		l.take()
		l.crash("d")
		return s, nil
	})
	play("B", func(l *lab) (*Supervisor, error) {
		s := l.sup(Flags{Strategy: OneForAll, Intensity: 5}, l.spec("a"), l.spec("b", transient), l.spec("d"))
		l.ok(s.TerminateChild(ctx, "a"))
		l.take()
		l.crash("d")
		return s, nil
	})
	restForOne := func(l *lab) *Supervisor {
		return l.sup(Flags{Strategy: RestForOne, Intensity: 5}, l.spec("a"), l.spec("b"), l.spec("d", temporary), l.spec("e"))
	}
	play("C", func(l *lab) (*Supervisor, error) {
		s := restForOne(l)
		l.take()
		l.crash("b")
		return s, nil
	})
	play("D", func(l *lab) (*Supervisor, error) {
		s := restForOne(l)
		l.crash("b")
		l.take()
		l.set(func() { l.fails["e"] = 2 })
		l.crash("b")
		return s, nil
	})
	play("E", func(l *lab) (*Supervisor, error) {
		s := l.sup(Flags{Strategy: OneForAll, Intensity: 5}, l.specs("a b e")...)
		l.take()
		l.set(func() { l.fails["e"] = 2 })
		l.crash("b")
		return s, nil
	})
	twoFailures := func(l *lab) *Supervisor {
		s := l.sup(Flags{Intensity: 3, Period: 10 * time.Second}, l.specs("a z")...)
		l.take()
		l.set(func() { l.fails["a"] = 2 })
		l.crash("a")
		return s
	}
	play("F", func(l *lab) (*Supervisor, error) { return twoFailures(l), nil })
	play("F2", func(l *lab) (*Supervisor, error) {
		s := twoFailures(l)
		l.take()
		l.crash("a")
		return s, nil
	})
	play("G", func(l *lab) (*Supervisor, error) {
		s := l.sup(Flags{}, l.specs("a z")...)
		l.take()
		l.crash("a")
		return s, nil
	})
	crashes := func(every time.Duration, times int) func(l *lab) (*Supervisor, error) {
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
	play("H", crashes(time.Second, 4))
	play("H2", crashes(1600*time.Millisecond, 5))
	play("L", func(l *lab) (*Supervisor, error) {
		l.fails["e"] = 1
		return Start(ctx, Flags{Intensity: 1}, l.specs("a b e z"), Options{})
	})
	play("M", func(l *lab) (*Supervisor, error) {
		s := l.sup(Flags{Strategy: RestForOne, Intensity: 1}, l.specs("a b")...)
		l.ok(s.StartChild(ctx, l.spec("x")))
		l.take()
		l.ok(s.Stop(ctx))
		return s, nil
	})
	play("N", func(l *lab) (*Supervisor, error) {
		s := l.sup(Flags{Intensity: 1 << 30}, l.specs("a")...)
		l.set(func() { l.fails["a"] = 1 << 30 })
		// Without synctest.Wait: the loop of restarts never comes to rest by itself.
		l.unit("a").end(Reason{Kind: Crash})
		l.ok(s.TerminateChild(ctx, "a"))
		synctest.Wait()
		l.take()
		return s, nil
	})
}
