package tunnel

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"semper/edge/ledger"
)

// A Tunnel joins a client and a backend after a change of protocol. Of a WebSocket it follows the
// frames, so that it can end it as the protocol wants.
type Tunnel struct {
	keeper     *Keeper
	owner      Owner
	prev, next *Tunnel // the keeper's, guarded by its mutex
	frames     bool
	patience   time.Duration
	early      []byte // before Start

	mu       sync.Mutex // guards what follows, and of ways what says so
	ways     [2]way
	started  bool
	tasks    int // ways that have not ended, and calls of tick that are to come or under way
	timer    *time.Timer
	alarm    time.Time // when tick is called next; zero: it is not
	planned  Farewell
	answered uint64    // client messages that passed before the newest server message
	traffic  time.Time // of the last write
	stage    stage
	closed   bool  // ended by us: nothing more is passed on
	lost     bool  // the backend ended without a Close frame; the client has been told
	saying   bool  // the Close frames are being sent
	first    *over // how it began to end
	waits    bool  // that is dealt with when they have been sent
}

// direction is that of a way.
type direction uint8

const (
	toClient  direction = iota // to the client
	toBackend                  // to the backend
)

func (d direction) other() direction { return 1 - d }

// over is how one way of a tunnel ended.
type over struct {
	way  direction
	read error // of its source; nil when the write failed
}

// An Owner is who has a tunnel made.
type Owner interface {
	// Ended is called once for each Start, when neither way passes anything any more. It closes the tunnel. It may be
	// called before Start has returned.
	Ended(how ledger.End)
}

// Options say what a Tunnel joins.
type Options struct {
	Client net.Conn
	Early  []byte // what the client has sent that was read already
	// Backend is a connection to an instance. What either is made of is found by methods NetConn: whatever is below TLS
	// may have read more than it was asked for, but changes nothing.
	Backend net.Conn
	// WebSocket says that it is one, and not another protocol, of which nothing is known.
	WebSocket bool
	// Patience is how long nothing may pass either way; 0: for ever.
	Patience time.Duration
}

// Start begins to pass what comes, both ways. Owner is told of the end, and owns the tunnel from then on; if the keeper is
// closed, that is now.
func (t *Tunnel) Start(o Owner) {
	t.owner = o
	if !t.keeper.add(t) {
		o.Ended(ledger.Cut)
		return
	}
	t.mu.Lock()
	t.started, t.tasks = true, len(t.ways)
	t.wakeAtLocked(t.planned.Soft)
	t.wakeAtLocked(t.tireLocked(time.Now()))
	t.mu.Unlock()
	early := t.early
	t.early = nil
	go t.ways[toClient].begin(nil)
	go t.ways[toBackend].begin(early)
}

func (t *Tunnel) client() net.Conn  { return t.ways[toBackend].src }
func (t *Tunnel) backend() net.Conn { return t.ways[toClient].src }

// Close closes both connections. A tunnel that has been started ends by that.
func (t *Tunnel) Close() {
	t.hangUp(toBackend)
	t.hangUp(toClient)
}

// hangUp closes the connection that w comes from.
func (t *Tunnel) hangUp(w direction) {
	t.ways[w].src.Close() //nolint:errcheck // nothing is to be saved
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ways[w].wakeLocked() // nobody is told of a descriptor that is closed
}

// ended says that a way has ended.
func (t *Tunnel) ended(o over) {
	t.mu.Lock()
	first := t.first == nil
	if first {
		t.first = &o
		t.waits = t.saying
	}
	first = first && !t.waits
	t.mu.Unlock()
	if first {
		t.halfClose(o)
	}
	t.leave(&t.ways[o.way])
}

// endedLocked reports whether both ways have ended.
func (t *Tunnel) endedLocked() bool { return t.ways[toClient].ended && t.ways[toBackend].ended }

// leave ends a task: that of a way, or a call of tick. Whoever leaves last ends the tunnel.
func (t *Tunnel) leave(w *way) {
	t.mu.Lock()
	t.tasks--
	if w != nil {
		w.ended = true
		if t.endedLocked() && t.timer != nil && t.timer.Stop() {
			t.tasks--
		}
	}
	last := t.tasks == 0
	t.mu.Unlock()
	if !last {
		return
	}
	t.owner.Ended(t.verdict())
	t.keeper.remove(t)
}

// verdict is how the tunnel ended, for the ledger.
func (t *Tunnel) verdict() ledger.End {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.first
	switch {
	case t.closed:
		return ledger.Cut
	case t.frames && (t.ways[toClient].track.Closed() || t.ways[toBackend].track.Closed()):
		return ledger.Served
	case !t.frames && errors.Is(first.read, io.EOF):
		return ledger.Served
	case first.way == toBackend && first.read != nil, first.way == toClient && first.read == nil:
		return ledger.Gone
	}
	return ledger.EdgeErrors
}
