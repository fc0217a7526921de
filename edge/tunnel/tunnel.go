// Package tunnel joins a client and a backend after a change of protocol, until one of them has enough or the edge wants
// an end.
//
// Of a WebSocket it follows the frames of both ways, so that it can end it as the protocol wants: with Close frames, in a
// moment in which no message is half sent or waits for its answer. Many tunnels that have to end at one instant are ended
// one by one before it, so that their clients do not come back all at once.
package tunnel

import (
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"semper/edge/ledger"
	"semper/edge/wsframe"
)

const (
	// longest bounds over how long the ends of many tunnels are spread; pace is for each.
	longest = 3 * time.Second
	pace    = 10 * time.Millisecond
	// leave is what is left after a Close frame was due, for the peers to take leave.
	leave = time.Second
	// quiet is how long nothing has passed in a quiet moment.
	quiet = 20 * time.Millisecond
	// halfOpen is how long a WebSocket may stay half closed.
	halfOpen = 5 * time.Second
)

const bufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A Farewell says when a tunnel is to end: from Soft on in the first quiet moment, from Force on at the
// end of a message, then of a frame, and leave later wherever it stands. The zero Farewell calls
// it off.
type Farewell struct{ Soft, Force time.Time }

// Paced is the farewell of tunnel i of n that are to be gone at at.
func Paced(now, at time.Time, i, n int) Farewell {
	spread := min(time.Duration(n)*pace, longest)
	start := at.Add(-spread)
	if start.Before(now) {
		start = now
		spread = max(at.Sub(now), spread/2)
	}
	soft := start.Add(spread * time.Duration(i) / time.Duration(n))
	if soft.After(at) {
		return Farewell{soft, soft}
	}
	return Farewell{soft, at}
}

// A Tunnel joins a client and a backend after a change of protocol. Of a WebSocket it follows the
// frames, so that it can end it as the protocol wants.
type Tunnel struct {
	client, backend net.Conn
	fromClient      io.Reader
	frames          bool
	patience        time.Duration
	plans           chan Farewell // the newest plan; buffered, 1

	mu       sync.Mutex // guards what follows
	planned  Farewell
	down, up wsframe.Tracker // what was written so far, to the client and to the backend
	busy     [2]bool         // a write is under way
	answered uint64          // client messages that passed before the newest server message
	traffic  time.Time       // of the last write
	stage    stage
	closed   bool // ended by us: nothing more is passed on
	lost     bool // the backend ended without a Close frame; the client has been told
}

// stage is how urgent the end of a tunnel is.
type stage int

const (
	stageNone  stage = iota
	stageQuiet       // when nothing has passed for a moment and nothing waits for an answer
	stageSoon        // after the next server message that leaves nothing to answer
	stageNow         // between any two frames
)

type way int

const (
	wayDown way = iota // to the client
	wayUp              // to the backend
)

// Options say what a Tunnel joins.
type Options struct {
	Client  net.Conn
	Read    io.Reader // what the client sends: of the connection, and what was read of it before
	Backend net.Conn
	// WebSocket says that it is one, and not another protocol, of which nothing is known.
	WebSocket bool
	// Patience is how long nothing may pass either way; 0: for ever.
	Patience time.Duration
}

// New is a tunnel that Run runs.
func New(o Options) *Tunnel {
	return &Tunnel{
		client: o.Client, backend: o.Backend, fromClient: o.Read, frames: o.WebSocket, patience: o.Patience,
		plans: make(chan Farewell, 1), traffic: time.Now(),
	}
}

// Plan sets the farewell, makes it sooner or calls it off. It does not block.
func (t *Tunnel) Plan(f Farewell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	set := !t.planned.Soft.IsZero()
	if f.Soft.IsZero() && !set || !f.Soft.IsZero() && set && !f.Force.Before(t.planned.Force) {
		return
	}
	t.planned = f
	select {
	case <-t.plans:
	default:
	}
	t.plans <- f
}

// over is how one way of a tunnel ended.
type over struct {
	way  way
	read error // of its source; nil when the write failed
}

// Run relays both ways until the tunnel is over, and keeps its farewell.
func (t *Tunnel) Run() ledger.End {
	ends := make(chan over, 2)
	go func() { ends <- t.relay(wayDown) }()
	go func() { ends <- t.relay(wayUp) }()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var f Farewell
	var first *over
	for n := 0; n < 2; {
		now := time.Now()
		timer.Reset(min(t.keep(f, now), t.tire(now)))
		select {
		case f = <-t.plans:
			t.callOff(f)
		case <-timer.C:
		case o := <-ends:
			if n++; first == nil {
				first = &o
				t.halfClose(o)
			}
		}
	}
	return t.verdict(*first)
}

// tire plans the end of a tunnel that nothing has passed for too long, and says how long until that would be.
func (t *Tunnel) tire(now time.Time) time.Duration {
	if t.patience <= 0 {
		return time.Hour
	}
	t.mu.Lock()
	left := t.patience - now.Sub(t.traffic)
	t.mu.Unlock()
	if left > 0 {
		return left
	}
	t.Plan(Farewell{now, now})
	return time.Hour
}

// keep does what the farewell says is due at now, and says how long until the next of it.
func (t *Tunnel) keep(f Farewell, now time.Time) time.Duration {
	last, hard := f.Force.Add(leave/2), f.Force.Add(leave)
	if !t.frames {
		hard = f.Force
	}
	switch {
	case f.Soft.IsZero():
		return time.Hour
	case now.Before(f.Soft):
		return f.Soft.Sub(now)
	case !now.Before(hard):
		t.mu.Lock()
		t.closed = true
		t.mu.Unlock()
		t.client.Close()  //nolint:errcheck // cut
		t.backend.Close() //nolint:errcheck // cut
		return time.Hour
	case now.Before(f.Force):
		return min(t.ask(stageQuiet, now), f.Force.Sub(now))
	case now.Before(last):
		t.ask(stageSoon, now)
		return last.Sub(now)
	}
	t.ask(stageNow, now)
	return hard.Sub(now)
}

// ask ends the tunnel if this is the moment; else it says how long until it may be, as far as only
// time tells. What traffic tells, the relay that passes it sees.
func (t *Tunnel) ask(s stage, now time.Time) time.Duration {
	t.mu.Lock()
	t.stage = s
	wait := max(quiet-now.Sub(t.traffic), 0)
	bye := (s != stageQuiet || wait == 0) && t.momentLocked()
	t.mu.Unlock()
	if bye {
		t.sayBye()
		return time.Hour
	}
	return max(wait, quiet/4)
}

// callOff takes an ending back where f is none.
func (t *Tunnel) callOff(f Farewell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.Soft.IsZero() {
		t.stage = stageNone
	}
}

// momentLocked reports whether this is the moment to end, once: nothing is half sent either way, and no
// message of the client waits for its answer, unless the time for such courtesy has passed.
func (t *Tunnel) momentLocked() bool {
	if !t.frames || t.stage == stageNone || t.closed || t.lost || t.busy[wayDown] || t.busy[wayUp] || !t.down.AtFrame() || !t.up.AtFrame() {
		return false
	}
	if t.down.Closed() || t.up.Closed() { // they are taking leave already
		return false
	}
	if t.stage != stageNow && (!t.down.AtMessage() || !t.up.AtMessage() || t.up.Messages() > t.answered) {
		return false
	}
	t.closed = true
	return true
}

// sayBye sends both sides a Close frame. Nobody else writes any more: closed is set.
func (t *Tunnel) sayBye() {
	deadline := time.Now().Add(leave)
	t.client.SetWriteDeadline(deadline)                                                      //nolint:errcheck // else the hard end comes
	t.backend.SetWriteDeadline(deadline)                                                     //nolint:errcheck // else the hard end comes
	t.client.Write(wsframe.Close(wsframe.ServiceRestart, "service restart: reconnect", nil)) //nolint:errcheck // it is over either way
	var mask [4]byte
	rand.Read(mask[:])                                           //nolint:errcheck // it never fails
	t.backend.Write(wsframe.Close(wsframe.GoingAway, "", &mask)) //nolint:errcheck // it is over either way
	// Read what still comes until the peers close: a socket closed over unread bytes would be reset, and
	// a reset can overtake the Close frame.
	closeWrite(t.client)                //nolint:errcheck // the deadline is there as well
	t.client.SetReadDeadline(deadline)  //nolint:errcheck // the hard end comes
	t.backend.SetReadDeadline(deadline) //nolint:errcheck // the hard end comes
}

// relay copies one way until its source ends or its target takes no more.
func (t *Tunnel) relay(w way) over {
	src, dst, track := io.Reader(t.backend), t.client, &t.down
	if w == wayUp {
		src, dst, track = t.fromClient, t.backend, &t.up
	}
	buf := buffers.Get().(*[bufferSize]byte) //nolint:errcheck // nothing else is put there
	defer buffers.Put(buf)
	for {
		n, err := src.Read(buf[:])
		for p := buf[:n]; len(p) > 0; {
			m, werr := t.pass(w, dst, track, p)
			if werr != nil {
				return over{way: w}
			}
			p = p[m:]
		}
		if err != nil {
			return over{w, err}
		}
	}
}

// pass writes the next piece of p: all of it, or while the tunnel is to end no more than to the end of
// a frame. What comes after our own Close frame is dropped.
func (t *Tunnel) pass(w way, dst net.Conn, track *wsframe.Tracker, p []byte) (int, error) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return len(p), nil
	}
	n, before := len(p), track.Messages()
	switch {
	case t.frames && t.stage != stageNone:
		n = track.Next(p)
	case t.frames:
		track.Feed(p)
	}
	t.busy[w] = true
	t.mu.Unlock()

	_, err := dst.Write(p[:n])

	t.mu.Lock()
	t.busy[w] = false
	t.traffic = time.Now()
	if w == wayDown && track.Messages() > before {
		t.answered = t.up.Messages()
	}
	bye := err == nil && t.stage > stageQuiet && t.momentLocked()
	t.mu.Unlock()
	if bye {
		t.sayBye()
	}
	return n, err
}

// halfClose passes the end of one way on to the other side.
func (t *Tunnel) halfClose(o over) {
	to, from := t.client, t.backend
	if o.way == wayUp {
		to, from = t.backend, t.client
	}
	if o.read == nil { // the target takes no more: there is nothing to wait for
		to.Close()   //nolint:errcheck // over
		from.Close() //nolint:errcheck // over
		return
	}
	if !t.sayLost(o) && !errors.Is(o.read, io.EOF) {
		to.Close() //nolint:errcheck // over
		return
	}
	closeWrite(to) //nolint:errcheck // where it cannot, the deadline is there
	if t.frames {
		to.SetReadDeadline(time.Now().Add(halfOpen)) //nolint:errcheck // it is closed with the tunnel
	}
}

// sayLost tells a WebSocket client whose backend ended without a word to come again, and reports
// whether it did. The relay that wrote to the client has ended, so nothing gets between.
func (t *Tunnel) sayLost(o over) bool {
	t.mu.Lock()
	t.lost = t.frames && o.way == wayDown && !t.closed && t.down.AtFrame() && !t.down.Closed()
	lost := t.lost
	t.mu.Unlock()
	if !lost {
		return false
	}
	t.client.SetWriteDeadline(time.Now().Add(leave)) //nolint:errcheck // it is over either way
	_, err := t.client.Write(wsframe.Close(wsframe.ServiceRestart, "the instance ended: reconnect", nil))
	return err == nil
}

// verdict is how the tunnel ended, for the ledger.
func (t *Tunnel) verdict(first over) ledger.End {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return ledger.Cut
	case t.frames && (t.down.Closed() || t.up.Closed()):
		return ledger.Served
	case !t.frames && errors.Is(first.read, io.EOF):
		return ledger.Served
	case first.way == wayUp && first.read != nil, first.way == wayDown && first.read == nil:
		return ledger.Gone
	}
	return ledger.EdgeErrors
}

// closeWrite half-closes c where it can.
func closeWrite(c net.Conn) error {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return nil
}
