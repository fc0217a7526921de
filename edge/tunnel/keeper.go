package tunnel

import (
	"sync"
	"time"

	"semper/edge/park"
)

// settleFor is how long a way that nothing comes has a goroutine.
const settleFor = 100 * time.Millisecond

// A Keeper keeps the tunnels of an edge. Its methods may be called from any goroutine.
type Keeper struct {
	lot    *park.Lot
	settle time.Duration // settleFor, but in tests
	works  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	all    *Tunnel    // linked
	closed bool
}

// Open makes a keeper, which must be closed.
func Open() (*Keeper, error) {
	lot, err := park.Open()
	if err != nil {
		return nil, err
	}
	return &Keeper{lot: lot, settle: settleFor}, nil
}

// New is a tunnel that has to be started, or forgotten.
func (k *Keeper) New(o Options) *Tunnel {
	t := &Tunnel{keeper: k, frames: o.WebSocket, patience: o.Patience, early: o.Early, traffic: time.Now()}
	t.ways[toBackend].join(t, toBackend, o.Client)
	t.ways[toClient].join(t, toClient, o.Backend)
	return t
}

// Parked is how many ways have no goroutine now. A tunnel has two.
func (k *Keeper) Parked() int { return k.lot.Len() }

// Close cuts what is left, and waits for it.
func (k *Keeper) Close() {
	k.mu.Lock()
	k.closed = true
	var left []*Tunnel
	for t := k.all; t != nil; t = t.next {
		left = append(left, t)
	}
	k.mu.Unlock()
	for _, t := range left {
		t.mu.Lock()
		t.closed = true
		t.mu.Unlock()
		t.Close()
	}
	k.works.Wait()
	k.lot.Close()
}

// add makes t known; false when the keeper is closed.
func (k *Keeper) add(t *Tunnel) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.works.Add(1)
	if t.next = k.all; t.next != nil {
		t.next.prev = t
	}
	k.all = t
	return true
}

// remove forgets t.
func (k *Keeper) remove(t *Tunnel) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		k.all = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
	k.works.Done()
}
