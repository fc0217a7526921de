package tunnel

import (
	"crypto/rand"
	"errors"
	"io"
	"time"

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

func (f Farewell) none() bool { return f.Soft.IsZero() }

// replaces reports whether f takes the place of what was planned: it does where it calls that off, or is sooner.
func (f Farewell) replaces(planned Farewell) bool {
	if f.none() || planned.none() {
		return f.none() != planned.none()
	}
	return f.Force.Before(planned.Force)
}

// stage is how urgent the end of a tunnel is.
type stage uint8

const (
	stageNone  stage = iota
	stageQuiet       // when nothing has passed for a moment and nothing waits for an answer
	stageSoon        // after the next server message that leaves nothing to answer
	stageNow         // between any two frames
	stageCut         // wherever it stands
)

// stage is where f stands at now, and when the next one comes; zero: none does. Only of frames something is known.
func (f Farewell) stage(now time.Time, frames bool) (stage, time.Time) {
	last, hard := f.Force.Add(leave/2), f.Force.Add(leave)
	if !frames {
		hard = f.Force
	}
	switch {
	case f.none():
		return stageNone, time.Time{}
	case now.Before(f.Soft):
		return stageNone, f.Soft
	case !now.Before(hard):
		return stageCut, time.Time{}
	case now.Before(f.Force):
		return stageQuiet, f.Force
	case now.Before(last):
		return stageSoon, last
	}
	return stageNow, hard
}

// Plan sets the farewell, makes it sooner or calls it off. It does not block.
func (t *Tunnel) Plan(f Farewell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.planLocked(f)
}

func (t *Tunnel) planLocked(f Farewell) {
	if !f.replaces(t.planned) {
		return
	}
	if t.planned = f; f.none() {
		t.stage = stageNone
	}
	t.wakeAtLocked(f.Soft)
}

// wakeAtLocked has tick called at at, or sooner if that was asked for.
func (t *Tunnel) wakeAtLocked(at time.Time) {
	i := t.all.instant(at)
	if !t.started || t.endedLocked() || i == 0 || t.alarm != 0 && i >= t.alarm {
		return
	}
	t.alarm = i
	if t.all.alarms.set(t, i) {
		t.tasks++
	}
}

// tick does what is due. Only alarms call it, which may do so again before it has returned.
func (t *Tunnel) tick() {
	t.mu.Lock()
	t.alarm = 0
	now := time.Now()
	t.wakeAtLocked(t.tireLocked(now))
	t.wakeAtLocked(t.expireLocked(now))
	var next time.Time
	t.stage, next = t.planned.stage(now, t.frames)
	t.wakeAtLocked(next)
	calm := t.all.time(t.traffic).Add(quiet)
	if t.stage == stageQuiet && now.Before(calm) { // later it is traffic that makes the moment, and says so: see pass
		t.wakeAtLocked(calm)
	}
	cut := t.stage == stageCut
	bye := !cut && (t.stage != stageQuiet || !now.Before(calm)) && t.momentLocked()
	t.closed = t.closed || cut
	t.mu.Unlock()
	switch {
	case cut:
		t.Close()
	case bye:
		t.sayBye()
	}
	t.leave(nil)
}

// tireLocked plans the end of a tunnel that nothing has passed for too long, and says when that is to be looked at again.
func (t *Tunnel) tireLocked(now time.Time) time.Time {
	if t.patience <= 0 || t.closed {
		return time.Time{}
	}
	until := t.all.time(t.traffic).Add(t.patience)
	if now.Before(until) {
		return until
	}
	t.planLocked(Farewell{now, now})
	return time.Time{}
}

// momentLocked reports whether this is the moment to end, once: nothing is half sent either way, and no
// message of the client waits for its answer, unless the time for such courtesy has passed.
func (t *Tunnel) momentLocked() bool {
	down, up := &t.ways[toClient], &t.ways[toBackend]
	if !t.frames || t.stage == stageNone || t.closed || t.lost || down.busy || up.busy || !down.track.AtFrame() || !up.track.AtFrame() {
		return false
	}
	if down.track.Closed() || up.track.Closed() { // they are taking leave already
		return false
	}
	if t.stage != stageNow && (!down.track.AtMessage() || !up.track.AtMessage() || up.track.Messages() > t.answered) {
		return false
	}
	t.closed, t.saying = true, true
	return true
}

// sayBye sends both sides a Close frame. Nobody else writes any more: closed is set.
func (t *Tunnel) sayBye() {
	deadline := time.Now().Add(leave)
	client, backend := t.client(), t.backend()
	client.SetWriteDeadline(deadline)                                                      //nolint:errcheck // else the hard end comes
	backend.SetWriteDeadline(deadline)                                                     //nolint:errcheck // else the hard end comes
	client.Write(wsframe.Close(wsframe.ServiceRestart, "service restart: reconnect", nil)) //nolint:errcheck // it is over either way
	var mask [4]byte
	rand.Read(mask[:])                                         //nolint:errcheck // it never fails
	backend.Write(wsframe.Close(wsframe.GoingAway, "", &mask)) //nolint:errcheck // it is over either way
	// Read what still comes until the peers close: a socket closed over unread bytes would be reset, and
	// a reset can overtake the Close frame.
	client.CloseWrite() //nolint:errcheck // the deadline is there as well
	t.readUntil(deadline, toClient, toBackend)

	t.mu.Lock()
	t.saying = false
	waits := t.waits
	t.mu.Unlock()
	if waits { // one side has answered by an end before the other one was told
		t.halfClose(*t.first)
	}
}

// halfClose passes the end of one way on to the other side.
func (t *Tunnel) halfClose(o over) {
	to := o.way.other() // the way back, whose source is the target of this one
	if o.read == nil {  // the target takes no more: there is nothing to wait for
		t.Close()
		return
	}
	if !t.sayLost(o) && !errors.Is(o.read, io.EOF) {
		t.hangUp(to)
		return
	}
	t.ways[to].end().CloseWrite() //nolint:errcheck // where it cannot, the deadline is there
	if t.frames {
		t.readUntil(time.Now().Add(halfOpen), to)
	}
}

// sayLost tells a WebSocket client whose backend ended without a word to come again, and reports
// whether it did. The relay that wrote to the client has ended, so nothing gets between.
func (t *Tunnel) sayLost(o over) bool {
	t.mu.Lock()
	down := &t.ways[toClient].track
	t.lost = t.frames && o.way == toClient && !t.closed && down.AtFrame() && !down.Closed()
	lost := t.lost
	t.mu.Unlock()
	if !lost {
		return false
	}
	t.client().SetWriteDeadline(time.Now().Add(leave)) //nolint:errcheck // it is over either way
	_, err := t.client().Write(wsframe.Close(wsframe.ServiceRestart, "the instance ended: reconnect", nil))
	return err == nil
}
