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

// TestStressDynamic is the same for a Dynamic, with children of both kinds.
func TestStressDynamic(t *testing.T) {
	t.Parallel()
	d, err := StartDynamic(bg, DynamicFlags{Intensity: 10, Period: time.Millisecond, GiveUp: Persist}, Options{Observe: func(Event) {}})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards all
	var all []Child
	var hands sync.WaitGroup
	for hand := range 4 {
		hands.Go(func() {
			r := rand.New(rand.NewPCG(uint64(hand), 7))
			for range 500 {
				child := meddleDynamic(d, r)
				if child != nil {
					mu.Lock()
					all = append(all, child)
					mu.Unlock()
				}
			}
		})
	}
	hands.Wait()
	for _, c := range d.Children() {
		if c.Child != nil {
			all = append(all, c.Child)
		}
	}
	if err := d.Stop(bg); err != nil {
		t.Error(err)
	}
	for _, c := range all {
		if s, ok := c.(*still); ok && !s.over() {
			t.Error("a child outlived its supervisor")
		}
	}
	if n := d.Count(); n != (Counts{}) {
		t.Errorf("left %+v", n)
	}
}

func meddleDynamic(d *Dynamic, r *rand.Rand) Child {
	spec := ChildSpec{Start: newStill, Restart: RestartType(r.IntN(3)), Shutdown: time.Second}
	if r.IntN(2) == 0 {
		spec.Start = Serve(until)
	}
	switch r.IntN(6) {
	case 0, 1, 2:
		child, _ := d.StartChild(bg, spec)
		return child
	case 3:
		_ = d.Blocking()
		_ = d.Abandoned()
		_ = d.Change(bg, DynamicFlags{Intensity: r.IntN(20), Period: time.Millisecond, GiveUp: Persist})
	default:
		all := d.Children()
		if len(all) == 0 {
			return nil
		}
		one := all[r.IntN(len(all))].Child
		if s, ok := one.(*still); ok && r.IntN(2) == 0 {
			s.ends(Reason{Kind: ReasonKind(r.IntN(4))})
		} else if one != nil {
			_ = d.TerminateChild(bg, one)
		}
	}
	return nil
}
