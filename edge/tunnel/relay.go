package tunnel

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"semper/edge/park"
	"semper/edge/wsframe"
)

var past = time.Unix(1, 0)

// A way is one direction of a tunnel. It belongs to the goroutine that relays it, while there is one.
type way struct {
	tunnel    *Tunnel
	wrap      *wrapped    // what it comes from; nil once sock is taken. Guarded by the tunnel's mutex until it has started
	sock      park.Socket // all that is left of that, where it is enough
	direction direction

	// Guarded by the tunnel's mutex.
	counts io.Closer // who counts what sock was taken from; nil: nobody
	stays  bool      // it is not parked; of what is wrapped
	parked bool      // the same
	busy   bool      // a write is under way
	ended  bool
	spot   park.Spot
	by     instant         // when reading ends
	track  wsframe.Tracker // what was written so far
}

// end is what a way comes from as the other way has it.
type end interface {
	Write(p []byte) (int, error)
	SetWriteDeadline(t time.Time) error
	CloseWrite() error
}

func (w *way) join(t *Tunnel, d direction, src net.Conn) {
	w.tunnel, w.direction, w.wrap = t, d, wrap(src)
	w.stays = w.wrap.socket == nil
}

// end is what w comes from.
func (w *way) end() end {
	if w.wrap != nil {
		return w.wrap
	}
	return &w.sock
}

// take leaves of what w comes from only the socket, if that is enough. What was read of it already is what comes first.
func (w *way) take() (read []byte) {
	src := w.wrap.Conn
	if encrypts(src) {
		return nil
	}
	read = ahead(src)
	if w.tunnel.all.lot.Take(&w.sock, bottom(src), w) {
		w.wrap = nil
		if y, ok := src.(interface{ Yield() io.Closer }); ok {
			w.counts = y.Yield()
		}
	}
	return read
}

// start begins to pass what comes, early first.
func (w *way) start(early []byte) {
	if len(early) > 0 || w.wrap != nil || !w.sock.Await() {
		go w.begin(early)
	}
}

func (w *way) begin(early []byte) {
	if !w.passAll(early) {
		w.tunnel.ended(over{w.direction, nil})
		return
	}
	w.run()
}

// Wake implements park.Sleeper.
func (w *way) Wake() { go w.run() }

// run is the goroutine of a way on which something happens.
func (w *way) run() {
	var err error
	if w.wrap == nil {
		err = w.relaySocket()
	} else {
		w.tunnel.mu.Lock()
		w.parked = false
		w.tunnel.mu.Unlock()
		err = w.relay(&input{src: w.wrap})
	}
	if err != errParked { //nolint:errorlint // it is nobody else's
		w.tunnel.ended(over{w.direction, err})
	}
}

// errParked: the way is another goroutine's from there on.
var errParked = errors.New("parked")

// relaySocket passes what the socket has. Then it has the way woken by what comes next; by an end too, so that it is not
// looked for here.
func (w *way) relaySocket() error {
	b := larges.Get().(*[largeBuffer]byte) //nolint:errcheck // nothing else is put there
	defer larges.Put(b)
	for {
		if w.late() {
			return os.ErrDeadlineExceeded
		}
		n, err := w.sock.Read(b[:])
		switch {
		case err != nil && !errors.Is(err, park.ErrAgain):
			return err
		case !w.passAll(b[:n]):
			return nil
		case n == len(b):
		case w.sock.Await():
			return errParked
		default:
			return net.ErrClosed
		}
	}
}

// late reports whether there are to be no more reads.
func (w *way) late() bool {
	w.tunnel.mu.Lock()
	defer w.tunnel.mu.Unlock()
	return w.by != 0 && w.tunnel.all.instant(time.Now()) >= w.by
}

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
	_, err := w.other().end().Write(p[:n])
	if w.passed(before, err) {
		t.sayBye()
	}
	return n, err
}

// passed says that a write has ended, before which so many messages had passed. It reports whether this is the moment for
// sayBye.
func (w *way) passed(before uint64, err error) (bye bool) {
	t := w.tunnel
	t.mu.Lock()
	defer t.mu.Unlock()
	w.busy = false
	now := time.Now()
	t.traffic = t.all.instant(now)
	if w.direction == toClient && w.track.Messages() > before {
		t.answered = t.ways[toBackend].track.Messages()
	}
	if t.stage == stageQuiet {
		t.wakeAtLocked(now.Add(quiet))
	}
	return err == nil && t.stage > stageQuiet && t.momentLocked()
}

// other is the way back.
func (w *way) other() *way { return &w.tunnel.ways[w.direction.other()] }

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
	w.wrap.SetReadDeadline(at) //nolint:errcheck // a closed connection says so in the read
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
	if w.spot, w.parked = t.all.lot.Park(w, w.wrap.socket, park.Never); !w.parked {
		w.stays = true
	}
	return w.parked
}

func (w *way) wakeLocked() {
	switch {
	case w.wrap == nil:
		w.sock.Wake()
	case w.parked:
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
			w.wrap.SetReadDeadline(at) //nolint:errcheck // it is closed with the tunnel
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
