package tunnel

import (
	"sync"
	"time"

	"semper/edge/park"
)

// settleFor is how long a wrapped way has a goroutine on which nothing comes: long enough that a busy tunnel is not parked between
// two messages, and short enough that many who say a word each do not have their stacks at one time.
const settleFor = 10 * time.Millisecond

// Tunnels are those of an edge. Its methods may be called from any goroutine.
type Tunnels struct {
	lot    *park.Lot
	start  time.Time     // instants count from there
	settle time.Duration // settleFor, but in tests
	works  sync.WaitGroup
	alarms alarms

	mu     sync.Mutex // guards what follows
	first  *Tunnel    // linked
	closed bool
}

// Open makes Tunnels, of which there are none yet. They must be closed.
func Open() (*Tunnels, error) {
	lot, err := park.Open()
	if err != nil {
		return nil, err
	}
	return newTunnels(lot), nil
}

// newTunnels is Open without making a lot; nil: no way is ever parked.
func newTunnels(lot *park.Lot) *Tunnels {
	a := &Tunnels{lot: lot, start: time.Now().Add(-1), settle: settleFor} // no instant of now is 0
	a.alarms.all = a
	return a
}

// An instant is a time.Time in a third of the room: nanoseconds since start. 0 is the zero Time.
type instant int64

func (a *Tunnels) instant(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.Sub(a.start))
}

func (a *Tunnels) time(i instant) time.Time {
	if i == 0 {
		return time.Time{}
	}
	return a.start.Add(time.Duration(i))
}

// New is a tunnel that has to be started, or forgotten.
func (a *Tunnels) New(o Options) *Tunnel {
	t := &Tunnel{all: a, frames: o.WebSocket, patience: o.Patience, traffic: a.instant(time.Now())}
	t.ways[toBackend].join(t, toBackend, o.Client)
	t.ways[toClient].join(t, toClient, o.Backend)
	return t
}

// Close cuts what is left, and waits for it.
func (a *Tunnels) Close() {
	a.mu.Lock()
	a.closed = true
	var left []*Tunnel
	for t := a.first; t != nil; t = t.next {
		left = append(left, t)
	}
	a.mu.Unlock()
	for _, t := range left {
		t.mu.Lock()
		t.closed = true
		t.mu.Unlock()
		t.Close()
	}
	a.works.Wait()
	a.lot.Close()
}

// add makes t known; false when all are closed.
func (a *Tunnels) add(t *Tunnel) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.works.Add(1)
	if t.next = a.first; t.next != nil {
		t.next.prev = t
	}
	a.first = t
	return true
}

// remove forgets t.
func (a *Tunnels) remove(t *Tunnel) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		a.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
	a.works.Done()
}
