package tunnel

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"semper/edge/park"
	"semper/edge/wsframe"
)

var past = time.Unix(1, 0)

// A way is one direction of a tunnel. It belongs to the goroutine that relays it, while there is one.
type way struct {
	tunnel    *Tunnel
	src       net.Conn
	raw       syscall.RawConn // the socket's below src; nil: it has none
	direction direction
	bare      bool // only raw is read, behind what layers have: no TLS is between
	layers    bool // src may have bytes at first that the socket has not any more

	// Guarded by the tunnel's mutex.
	stays  bool // it is not parked
	parked bool
	busy   bool // a write is under way
	ended  bool
	spot   park.Spot
	by     instant         // when reading ends
	track  wsframe.Tracker // what was written so far
}

func (w *way) join(t *Tunnel, d direction, src net.Conn) {
	w.tunnel, w.direction, w.src, w.bare, w.stays = t, d, src, true, true
	below := src
	for {
		over, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		if _, ok := below.(*tls.Conn); ok {
			w.bare = false
		}
		w.layers, below = true, over.NetConn()
	}
	if s, ok := below.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			w.raw, w.stays = raw, false
		}
	}
	w.bare = w.bare && w.raw != nil
	w.layers = w.layers && w.bare
}

// begin is the first goroutine of a way. early comes first, and then what layers over the socket have read of it.
func (w *way) begin(early []byte) {
	err := os.ErrDeadlineExceeded
	if !w.passAll(early) {
		err = nil
	} else if w.layers {
		w.src.SetReadDeadline(past) //nolint:errcheck // a closed connection says so in the read
		_, err = w.pour(&input{src: w.src})
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		w.tunnel.ended(over{w.direction, err})
		return
	}
	w.run()
}

// Wake implements park.Sleeper.
func (w *way) Wake() { go w.run() }

// run is the goroutine of a way on which something happens.
func (w *way) run() {
	w.tunnel.mu.Lock()
	w.parked = false
	w.tunnel.mu.Unlock()
	in := input{src: w.src}
	if w.bare {
		in.raw, in.recv = w.raw, in.receive
	}
	if err := w.relay(&in); err != errParked { //nolint:errorlint // it is nobody else's
		w.tunnel.ended(over{w.direction, err})
	}
}

// errParked: the way is another goroutine's from there on.
var errParked = errors.New("parked")

// relay passes what comes until the source ends or its target takes no more, which is no error, or nothing has come for
// a while.
func (w *way) relay(in *input) error {
	for {
		if !w.arm() {
			return os.ErrDeadlineExceeded
		}
		some, err := w.pour(in)
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case !some && w.park():
			return errParked
		}
	}
}

// pour passes what comes until in has an error, or the target takes no more, which is none. It reports whether some came.
func (w *way) pour(in *input) (some bool, err error) {
	defer in.free()
	for err == nil {
		var p []byte
		p, err = in.read()
		some = some || len(p) > 0
		if !w.passAll(p) {
			return some, nil
		}
	}
	return some, err
}

// passAll reports whether the target took p.
func (w *way) passAll(p []byte) bool {
	for len(p) > 0 {
		n, err := w.pass(p)
		if err != nil {
			return false
		}
		p = p[n:]
	}
	return true
}

// pass writes the next piece of p: all of it, or while the tunnel is to end no more than to the end of
// a frame. What comes after our own Close frame is dropped.
func (w *way) pass(p []byte) (int, error) {
	t := w.tunnel
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return len(p), nil
	}
	n, before := len(p), w.track.Messages()
	switch {
	case t.frames && t.stage != stageNone:
		n = w.track.Next(p)
	case t.frames:
		w.track.Feed(p)
	}
	w.busy = true
	t.mu.Unlock()

	_, err := t.ways[w.direction.other()].src.Write(p[:n])

	t.mu.Lock()
	w.busy = false
	now := time.Now()
	t.traffic = t.all.instant(now)
	if w.direction == toClient && w.track.Messages() > before {
		t.answered = t.ways[toBackend].track.Messages()
	}
	if t.stage == stageQuiet {
		t.wakeAtLocked(now.Add(quiet))
	}
	bye := err == nil && t.stage > stageQuiet && t.momentLocked()
	t.mu.Unlock()
	if bye {
		t.sayBye()
	}
	return n, err
}

// arm sets the deadline of reads. It reports false when there are to be no more.
func (w *way) arm() bool {
	t := w.tunnel
	t.mu.Lock()
	defer t.mu.Unlock()
	at, now := t.all.time(w.by), time.Now()
	if !at.IsZero() && !now.Before(at) {
		return false
	}
	if settled := now.Add(t.all.settle); !w.stays && (at.IsZero() || settled.Before(at)) {
		at = settled
	}
	w.src.SetReadDeadline(at) //nolint:errcheck // a closed connection says so in the read
	return true
}

// park gives the goroutine away. It reports false if there has to be one.
func (w *way) park() (ok bool) {
	t := w.tunnel
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.stays {
		return false
	}
	if w.spot, w.parked = t.all.lot.Park(w, w.raw, park.Never); !w.parked {
		w.stays = true
	}
	return w.parked
}

func (w *way) wakeLocked() {
	if w.parked {
		w.tunnel.all.lot.Wake(w, w.spot)
	}
}

// readUntil bounds how long some ways are read.
func (t *Tunnel) readUntil(at time.Time, ways ...direction) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range ways {
		w := &t.ways[d]
		w.by = t.all.instant(at)
		if w.stays {
			w.src.SetReadDeadline(at) //nolint:errcheck // it is closed with the tunnel
		}
	}
	t.wakeAtLocked(at) // for one that is parked; one that settles looks soon
}

// expireLocked wakes the parked ways that are to be read no more, and says when there will be others.
func (t *Tunnel) expireLocked(now time.Time) (next time.Time) {
	for i := range t.ways {
		w := &t.ways[i]
		by := t.all.time(w.by)
		switch {
		case by.IsZero() || w.ended:
		case !now.Before(by):
			w.wakeLocked()
		case next.IsZero() || by.Before(next):
			next = by
		}
	}
	return next
}
