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
	all        *Tunnels
	owner      Owner
	prev, next *Tunnel // guarded by the mutex of all
	patience   time.Duration
	frames     bool
	bell       int32 // where it stands in the heap of alarms, from 1; theirs

	mu       sync.Mutex // guards what follows, and of ways what says so
	ways     [2]way
	tasks    int32 // ways that have not ended, and calls of tick that are to come or under way
	started  bool
	stage    stage
	closed   bool // ended by us: nothing more is passed on
	lost     bool // the backend ended without a Close frame; the client has been told
	saying   bool // the Close frames are being sent
	waits    bool // what first says is dealt with when they have been sent
	planned  Farewell
	alarm    instant // when tick is called next
	traffic  instant // of the last write
	answered uint64  // client messages that passed before the newest server message
	first    *over   // how it began to end
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
	// Backend is a connection to an instance. What either is made of is found by methods NetConn: whatever is not TLS may
	// have read more than it was asked for, but changes nothing. Where that is just a socket, the tunnel takes it out of
	// the connection. If this has a method Yield() io.Closer, that is told so, and what it returns is closed at the end.
	Backend net.Conn
	// WebSocket says that it is one, and not another protocol, of which nothing is known.
	WebSocket bool
	// Patience is how long nothing may pass either way; 0: for ever.
	Patience time.Duration
}

// Start begins to pass what comes, both ways; early is what of the client's was read already. Owner is told of the end; if
// all tunnels are closed, that is now.
func (t *Tunnel) Start(o Owner, early []byte) {
	t.owner = o
	if !t.all.add(t) {
		o.Ended(ledger.Cut)
		return
	}
	t.mu.Lock()
	read := t.ways[toClient].take()
	early = append(early, t.ways[toBackend].take()...)
	t.started, t.tasks = true, int32(len(t.ways))
	t.wakeAtLocked(t.planned.Soft)
	t.wakeAtLocked(t.tireLocked(time.Now()))
	t.mu.Unlock()
	t.ways[toClient].start(read)
	t.ways[toBackend].start(early)
}

func (t *Tunnel) client() end  { return t.ways[toBackend].end() }
func (t *Tunnel) backend() end { return t.ways[toClient].end() }

// Close closes both connections. A tunnel that has been started ends by that.
func (t *Tunnel) Close() {
	t.hangUp(toBackend)
	t.hangUp(toClient)
}

// hangUp closes the connection that w comes from.
func (t *Tunnel) hangUp(w direction) {
	from := &t.ways[w]
	t.mu.Lock()
	wrap := from.wrap
	t.mu.Unlock()
	if wrap != nil {
		wrap.Close() //nolint:errcheck // nothing is to be saved
	}
	t.mu.Lock()
	var counts io.Closer
	if from.wrap != nil {
		from.wakeLocked() // nobody is told of a descriptor that is closed
	} else {
		from.sock.Close() //nolint:errcheck // nothing is to be saved
		counts, from.counts = from.counts, nil
	}
	t.mu.Unlock()
	if counts != nil {
		counts.Close() //nolint:errcheck // it only counts
	}
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
		if t.endedLocked() && t.all.alarms.drop(t) {
			t.tasks--
		}
	}
	last := t.tasks == 0
	t.mu.Unlock()
	if !last {
		return
	}
	t.owner.Ended(t.verdict())
	t.all.remove(t)
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
