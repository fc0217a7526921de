package statem_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"semper/actor"
	"semper/actor/statem"
)

// player is a Machine that plays a play.
type player struct {
	play  *play
	done  [events + 1]int
	trace []string
}

type playTurn = statem.Turn[int, int]

func (p *player) Handle(t *playTurn, n int) error {
	how := map[statem.Kind]string{statem.Internal: "i", statem.StateTimeout: "state", statem.EventTimeout: "event"}[t.Kind()]
	if t.Kind() == statem.NamedTimeout {
		how = t.TimeoutName().(string)
	}
	return p.handle(t, how, n)
}

func (p *player) Info(t *playTurn, info any) error { return p.handle(t, "!", info.(int)) }

func (p *player) handle(t *playTurn, how string, n int) error {
	p.trace = append(p.trace, fmt.Sprintf("%d:%s%d", t.State(), how, n))
	if turns := p.play.on[n]; p.done[n] < len(turns) {
		for _, do := range turns[p.done[n]] {
			do.ask(t)
		}
	}
	p.done[n]++
	return nil
}

func (p *player) Enter(t *playTurn, from int) error {
	p.trace = append(p.trace, fmt.Sprintf("%d>%d", from, t.State()))
	for _, do := range p.play.enter[t.State()] {
		do.ask(t)
	}
	return nil
}

func (a action) ask(t *playTurn) {
	ms := func() time.Duration { return time.Duration(a.args[0]) * time.Millisecond }
	switch a.verb {
	case "goto":
		t.Goto(a.args[0])
	case "repeat":
		t.Repeat()
	case "postpone":
		t.Postpone()
	case "next":
		t.NextEvent(a.args[0])
	case "state":
		t.StateTimeout(ms(), a.args[1])
	case "event":
		t.EventTimeout(ms(), a.args[1])
	case "ustate":
		t.UpdateStateTimeout(a.args[0])
	case "cstate":
		t.CancelStateTimeout()
	case "ux", "uy":
		t.UpdateTimeout(a.verb[1:], a.args[0])
	case "cx", "cy":
		t.CancelTimeout(a.verb[1:])
	default:
		t.Timeout(a.verb, ms(), a.args[1])
	}
}

// played is the trace of a play on a real process, in virtual time.
func played(t *testing.T, p *play) []string {
	m := &player{play: p}
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		ref, err := statem.Start[int, int](ctx, 0, m, actor.Options{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for i, b := range p.bursts {
			time.Sleep(time.Until(began.Add(time.Duration(i*apart) * time.Millisecond)))
			synctest.Wait()
			if err := ref.PID().Suspend(ctx); err != nil {
				t.Fatal(err)
			}
			for _, n := range b.send {
				if n < 0 {
					_ = ref.PID().Inform(-n)
				} else {
					_ = ref.Cast(n)
				}
			}
			time.Sleep(time.Duration(b.hold) * time.Millisecond)
			synctest.Wait()
			if err := ref.PID().Resume(ctx); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(time.Until(began.Add(end * time.Millisecond)))
		synctest.Wait()
		ref.PID().Exit(actor.Reason{Kind: actor.Shutdown})
		<-ref.PID().Gone()
	})
	return m.trace
}

// compare says where two traces part.
func compare(p *play, got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("traces differ:\n got %s\nwant %s\n%s", strings.Join(got, " "), strings.Join(want, " "), p)
}

// TestModel compares the order of events with the naive model's: postponed, next events and timeouts of every kind,
// over states entered, changed and repeated, with clocks that strike while the events that cancel them wait in front.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := generate(func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "n") })
		want := modelled(p)
		if want.unclear {
			rt.Skip("two things happen at once")
		}
		if again, err := parsePlay(p.String()); err != nil || again.String() != p.String() {
			rt.Fatalf("the text of a play is not the play: %v", err)
		}
		if err := compare(p, played(t, p), want.trace); err != nil {
			rt.Fatal(err)
		}
	})
}
