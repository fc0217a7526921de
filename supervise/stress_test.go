package supervise

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestStress runs real loops in real time under everything at once; the race detector and the lab watch.
func TestStress(t *testing.T) {
	t.Parallel()
	for _, f := range []Flags{
		{Strategy: OneForOne, Intensity: 10, Period: time.Millisecond, GiveUp: Persist},
		{Strategy: RestForOne, Intensity: 10, Period: time.Millisecond, GiveUp: Persist},
		{Strategy: OneForAll, Intensity: 1 << 30},
	} {
		l := newLab(t)
		s, err := Start(bg, f, l.specs("0 1 2 3", transient), Options{Observe: l.observe})
		if err != nil {
			t.Fatal(err)
		}
		var hands sync.WaitGroup
		for hand := range 4 {
			hands.Go(func() { l.meddle(s, rand.New(rand.NewPCG(uint64(hand), 7))) })
		}
		hands.Wait()
		if err := s.Stop(bg); err != nil {
			t.Error(err)
		}
		for id, u := range l.units {
			select {
			case <-u.done:
			default:
				t.Errorf("%v: %s outlived its supervisor", f.Strategy, id)
			}
		}
	}
}

func (l *lab) meddle(s *Supervisor, r *rand.Rand) {
	for range 300 {
		id := fmt.Sprint(r.IntN(6))
		switch r.IntN(8) {
		case 0:
			_ = s.StartChild(bg, l.spec(id, func(s *ChildSpec) { s.Restart = RestartType(r.IntN(3)) }))
		case 1:
			_ = s.TerminateChild(bg, id)
		case 2:
			_ = s.RestartChild(bg, id)
		case 3:
			_ = s.DeleteChild(bg, id)
		case 4:
			_ = s.Children()
			_ = s.Blocking()
			s.Nudge(id)
		case 5:
			l.set(func() { l.fails[id] = r.IntN(3) })
		default:
			l.mu.Lock()
			u := l.units[id]
			l.mu.Unlock()
			if u != nil {
				u.end(Reason{Kind: ReasonKind(r.IntN(4))})
			}
		}
	}
}
