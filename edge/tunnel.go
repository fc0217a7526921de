package edge

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"semper/edge/ledger"
	"semper/edge/wsframe"
)

const (
	// tunnelSpread bounds over how long the ends of many tunnels are spread; tunnelPace is for each.
	tunnelSpread = 3 * time.Second
	tunnelPace   = 10 * time.Millisecond
	// tunnelHard is what is left after a Close frame was due, for the peers to take leave.
	tunnelHard = time.Second
	// tunnelQuiet is how long nothing has passed in a quiet moment.
	tunnelQuiet = 20 * time.Millisecond
	// tunnelHalf is how long a WebSocket may stay half closed.
	tunnelHalf = 5 * time.Second
)

// A farewell says when a tunnel is to end: from soft on in the first quiet moment, from force on at the
// end of a message, then of a frame, and tunnelHard later wherever it stands. The zero farewell calls
// it off.
type farewell struct{ soft, force time.Time }

// paced is the farewell of tunnel i of n that are to be gone at at.
func paced(now, at time.Time, i, n int) farewell {
	spread := min(time.Duration(n)*tunnelPace, tunnelSpread)
	start := at.Add(-spread)
	if start.Before(now) {
		start = now
		spread = max(at.Sub(now), spread/2)
	}
	soft := start.Add(spread * time.Duration(i) / time.Duration(n))
	if soft.After(at) {
		return farewell{soft, soft}
	}
	return farewell{soft, at}
}

// A tunnel joins a client and a backend after a change of protocol. Of a WebSocket it follows the
// frames, so that it can end it as the protocol wants.
type tunnel struct {
	client, backend net.Conn
	fromClient      io.Reader
	fromBackend     io.Reader
	frames          bool
	plans           chan farewell // the newest plan; buffered, 1

	mu       sync.Mutex // guards what follows
	planned  farewell
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

// plan sets the farewell, makes it sooner or calls it off. It does not block.
func (t *tunnel) plan(f farewell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	set := !t.planned.soft.IsZero()
	if f.soft.IsZero() && !set || !f.soft.IsZero() && set && !f.force.Before(t.planned.force) {
		return
	}
	t.planned = f
	select {
	case <-t.plans:
	default:
	}
	t.plans <- f
}

// switchProtocols answers 101 and relays until one side has enough.
func (x *exchange) switchProtocols(a *attempt, resp *http.Response) {
	back, ok := resp.Body.(net.Conn)
	if x.upgrade == "" || !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), x.upgrade) {
		a.cancel(nil)
		resp.Body.Close() //nolint:errcheck // not wanted
		x.fail(refuseUpgrade, ledger.EdgeErrors)
		return
	}
	defer back.Close() //nolint:errcheck // the tunnel is over
	client, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.fail(refuseUpgrade, ledger.EdgeErrors)
		return
	}
	defer client.Close() //nolint:errcheck // the tunnel is over
	x.status = resp.StatusCode
	t := &tunnel{
		client: client, backend: back, fromClient: buffered.Reader, fromBackend: back,
		frames: strings.EqualFold(x.upgrade, "websocket"), plans: make(chan farewell, 1),
	}
	if err := x.answer101(buffered.Writer, resp); err != nil {
		x.entry.End(ledger.Gone)
		return
	}
	a.backend.become(a, classWebSocket, t)
	x.entry.End(t.run())
}

func (x *exchange) answer101(w *bufio.Writer, resp *http.Response) error {
	h := resp.Header
	up := h["Upgrade"]
	removeHopByHop(h)
	delete(h, headerError)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, up
	h[headerRelease], h[headerRequestID] = []string{x.release}, []string{x.id}
	_, err := w.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err == nil {
		err = h.Write(w)
	}
	if err == nil {
		_, err = w.WriteString("\r\n")
	}
	return errors.Join(err, w.Flush())
}

// over is how one way of a tunnel ended.
type over struct {
	way  way
	read error // of its source; nil when the write failed
}

// run relays both ways until the tunnel is over, and keeps its farewell.
func (t *tunnel) run() ledger.End {
	ends := make(chan over, 2)
	go func() { ends <- t.relay(wayDown) }()
	go func() { ends <- t.relay(wayUp) }()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var f farewell
	var first *over
	for n := 0; n < 2; {
		timer.Reset(t.keep(f, time.Now()))
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

// keep does what the farewell says is due at now, and says how long until the next of it.
func (t *tunnel) keep(f farewell, now time.Time) time.Duration {
	last, hard := f.force.Add(tunnelHard/2), f.force.Add(tunnelHard)
	if !t.frames {
		hard = f.force
	}
	switch {
	case f.soft.IsZero():
		return time.Hour
	case now.Before(f.soft):
		return f.soft.Sub(now)
	case !now.Before(hard):
		t.mu.Lock()
		t.closed = true
		t.mu.Unlock()
		t.client.Close()  //nolint:errcheck // cut
		t.backend.Close() //nolint:errcheck // cut
		return time.Hour
	case now.Before(f.force):
		return min(t.ask(stageQuiet, now), f.force.Sub(now))
	case now.Before(last):
		t.ask(stageSoon, now)
		return last.Sub(now)
	}
	t.ask(stageNow, now)
	return hard.Sub(now)
}

// ask ends the tunnel if this is the moment; else it says how long until it may be, as far as only
// time tells. What traffic tells, the relay that passes it sees.
func (t *tunnel) ask(s stage, now time.Time) time.Duration {
	t.mu.Lock()
	t.stage = s
	wait := max(tunnelQuiet-now.Sub(t.traffic), 0)
	bye := (s != stageQuiet || wait == 0) && t.momentLocked()
	t.mu.Unlock()
	if bye {
		t.sayBye()
		return time.Hour
	}
	return max(wait, tunnelQuiet/4)
}

// callOff takes an ending back where f is none.
func (t *tunnel) callOff(f farewell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.soft.IsZero() {
		t.stage = stageNone
	}
}

// momentLocked reports whether this is the moment to end, once: nothing is half sent either way, and no
// message of the client waits for its answer, unless the time for such courtesy has passed.
func (t *tunnel) momentLocked() bool {
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
func (t *tunnel) sayBye() {
	deadline := time.Now().Add(tunnelHard)
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
func (t *tunnel) relay(w way) over {
	src, dst, track := t.fromBackend, t.client, &t.down
	if w == wayUp {
		src, dst, track = t.fromClient, t.backend, &t.up
	}
	buf := buffers.Get().(*[copyBuffer]byte) //nolint:errcheck // nothing else is put there
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
func (t *tunnel) pass(w way, dst net.Conn, track *wsframe.Tracker, p []byte) (int, error) {
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
func (t *tunnel) halfClose(o over) {
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
		to.SetReadDeadline(time.Now().Add(tunnelHalf)) //nolint:errcheck // it is closed with the tunnel
	}
}

// sayLost tells a WebSocket client whose backend ended without a word to come again, and reports
// whether it did. The relay that wrote to the client has ended, so nothing gets between.
func (t *tunnel) sayLost(o over) bool {
	t.mu.Lock()
	t.lost = t.frames && o.way == wayDown && !t.closed && t.down.AtFrame() && !t.down.Closed()
	lost := t.lost
	t.mu.Unlock()
	if !lost {
		return false
	}
	t.client.SetWriteDeadline(time.Now().Add(tunnelHard)) //nolint:errcheck // it is over either way
	_, err := t.client.Write(wsframe.Close(wsframe.ServiceRestart, "the instance ended: reconnect", nil))
	return err == nil
}

// verdict is how the tunnel ended, for the ledger.
func (t *tunnel) verdict(first over) ledger.End {
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
