package wait_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper/edge/balance/admit"
	"semper/edge/gate"
	"semper/edge/hold"
	"semper/edge/lane"
	"semper/edge/wait"
)

// bell is a driver.
type bell chan uint64

func (b bell) Wake(ticket uint64) { b <- ticket }

// place is a lane and a gate, closed until they are opened, and their pumps.
type place struct {
	lane  *lane.Lane
	gate  *gate.Gate
	open  atomic.Bool
	pumps sync.WaitGroup
}

func newPlace(t *testing.T) *place {
	p := new(place)
	begin := time.Now()
	p.lane = lane.New(lane.Options{
		Gate: func() hold.Gate { return hold.Gate{All: !p.open.Load(), Ready: true, Rate: 1e6} },
		Pump: func(pump func(context.Context)) bool {
			p.pumps.Go(func() { pump(t.Context()) })
			return true
		},
	})
	p.gate = gate.New(gate.Options{Length: 2, Deadline: time.Hour, Now: func() int64 { return int64(time.Since(begin)) }, Pump: func(g *gate.Gate) bool {
		p.pumps.Go(func() { g.Pump(t.Context()) })
		return true
	}})
	t.Cleanup(p.pumps.Wait)
	return p
}

var bounds = hold.Bounds{Requests: 3, Bytes: 1}

func newWait(b bell, ticket uint64) *wait.Wait {
	w := new(wait.Wait)
	w.Held, w.Backend = time.Now().Add(time.Hour), time.Now().Add(time.Hour)
	w.Wakes(b, ticket)
	return w
}

// TestOneAfterTheOther: in a line, at a gate, and in the line again, where it stood; each verdict wakes its driver once.
func TestOneAfterTheOther(t *testing.T) {
	t.Parallel()
	p, b := newPlace(t), make(bell, 4)
	if !p.gate.Enter(1, admit.Normal) {
		t.Fatal("nobody is in")
	}
	w := newWait(b, 7)
	if v := w.Join(p.lane, bounds, false); v != hold.Wait {
		t.Fatalf("told %v", v)
	}
	p.open.Store(true)
	p.lane.Wake()
	if got := <-b; got != 7 {
		t.Errorf("woken by %d", got)
	}
	if v, ok := w.Lane(); v != hold.Go || !ok {
		t.Errorf("told %v, of a lane: %v", v, ok)
	}
	w.Wakes(b, 8)
	if v := w.Enter(p.gate, admit.Normal, 1, false); v != admit.Wait {
		t.Fatalf("told %v", v)
	}
	p.gate.Leave()
	if got := <-b; got != 8 {
		t.Errorf("woken by %d", got)
	}
	if v, ok := w.Lane(); ok {
		t.Errorf("the gate's verdict is a lane's: %v", v)
	}
	if v, g := w.Gate(); v != admit.Go || g != p.gate || g.InFlight() != 1 {
		t.Errorf("told %v", v)
	}
	p.gate.Leave()
	p.open.Store(false)
	behind := newWait(b, 9)
	behind.Join(p.lane, bounds, false)
	w.Join(p.lane, bounds, true)
	p.open.Store(true)
	p.lane.Wake()
	if first, second := <-b, <-b; first != 8 || second != 9 {
		t.Errorf("%d and %d are woken: it came back behind who joined later", first, second)
	}
	w.Quit() // not begun by Lane yet
	behind.Quit()
	if n := p.lane.Waiting(); n != 0 || len(b) != 0 {
		t.Errorf("%d wait, and %d more are woken", n, len(b))
	}
}

// TestQuit: nothing is left of a wait, whatever it has been told.
func TestQuit(t *testing.T) {
	t.Parallel()
	p, b := newPlace(t), make(bell, 4)
	(*wait.Wait)(nil).Quit()
	new(wait.Wait).Quit()
	w := newWait(b, 1)
	w.Join(p.lane, bounds, false)
	w.Quit()
	w.Quit()
	p.gate.Enter(1, admit.Normal)
	for name, told := range map[string]bool{"while it waits": false, "when it was let go": true} {
		w := newWait(b, 2)
		if v := w.Enter(p.gate, admit.Normal, 1, false); v != admit.Wait {
			t.Fatalf("%s: %v", name, v)
		}
		if told {
			p.gate.Leave()
			<-b
		}
		if w.Quit(); p.gate.Waiting() != 0 {
			t.Errorf("%s: it is in the line", name)
		}
		if n := p.gate.InFlight(); told && n != 0 {
			t.Errorf("%s: %d are in flight", name, n)
		} else if told {
			p.gate.Enter(1, admit.Normal)
		}
	}
	if n := p.lane.Waiting(); n != 0 || len(b) != 0 {
		t.Errorf("%d wait, %d are woken", n, len(b))
	}
}

// TestShed is told at once, and does not wait.
func TestShed(t *testing.T) {
	t.Parallel()
	p, b := newPlace(t), make(bell, 4)
	w := newWait(b, 1)
	if v := w.Join(p.lane, hold.Bounds{}, false); v != hold.ShedRequests {
		t.Errorf("told %v", v)
	}
	p.gate.Enter(1, admit.Normal)
	for range 2 {
		newWait(b, 2).Enter(p.gate, admit.Normal, 1, false)
	}
	if v := w.Enter(p.gate, admit.Normal, 1, false); v != admit.Shed {
		t.Errorf("told %v", v)
	}
	w.Quit()
	if n := p.gate.Waiting(); n != 2 || p.gate.InFlight() != 1 {
		t.Errorf("%d wait, %d are in", n, p.gate.InFlight())
	}
	p.gate.Leave()
	<-b
	p.gate.Leave()
	<-b
	p.gate.Leave()
}
