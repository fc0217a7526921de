package tunnel

import (
	"bytes"
	"errors"

	"semper/edge/park"
)

// Ready implements park.Prompt: a message that comes alone, as most do, is passed on without a goroutine, if both sides are
// nothing but sockets, no end is planned for now, and the target takes it at once.
func (w *way) Ready(b []byte) {
	if w.other().wrap != nil || w.late() {
		go w.run()
		return
	}
	n, err := w.sock.Read(b)
	switch {
	case err != nil && !errors.Is(err, park.ErrAgain):
		go w.tunnel.ended(over{w.direction, err})
	case n > 0 && !w.passNow(b[:n]):
	case n == len(b), !w.sock.Await():
		go w.run()
	}
}

// passNow passes p without waiting. It reports false if it has given the way to a goroutine.
func (w *way) passNow(p []byte) bool {
	t := w.tunnel
	t.mu.Lock()
	if t.closed || t.stage != stageNone {
		t.mu.Unlock()
		go w.begin(bytes.Clone(p))
		return false
	}
	before := w.track.Messages()
	if t.frames {
		w.track.Feed(p)
	}
	w.busy = true
	t.mu.Unlock()
	n, err := w.other().sock.TryWrite(p)
	if errors.Is(err, park.ErrAgain) {
		go w.passRest(bytes.Clone(p[n:]), before)
		return false
	}
	bye := w.passed(before, err)
	switch {
	case err != nil:
		go t.ended(over{w.direction, nil})
	case bye:
		go w.farewell()
	}
	return err == nil && !bye
}

// passRest is the goroutine of a way whose target did not take all at once.
func (w *way) passRest(p []byte, before uint64) {
	_, err := w.other().sock.Write(p)
	bye := w.passed(before, err)
	switch {
	case err != nil:
		w.tunnel.ended(over{w.direction, nil})
	case bye:
		w.farewell()
	default:
		w.run()
	}
}

// farewell is the goroutine of a way by which the moment for the end has come.
func (w *way) farewell() {
	w.tunnel.sayBye()
	w.run()
}
