package accesslog

import "time"

// piece is how much is written at once.
const piece = 64 << 10

// A writer is the goroutine of a log.
type writer struct {
	log    *Log
	sink   *sink
	format *formatter
	flush  time.Duration

	buf   []byte
	lines uint64 // in buf
}

func (w *writer) run() {
	defer close(w.log.done)
	timer := time.NewTimer(w.flush)
	defer timer.Stop()
	for {
		w.rest()
		if !w.gather(timer) {
			w.log.state.Store(closed)
			w.write()
			w.log.err = w.sink.close()
			return
		}
		w.write()
	}
}

// rest waits while there is nothing to write.
func (w *writer) rest() {
	w.log.state.Store(asleep)
	for _, r := range w.log.all() {
		if r.waiting() > 0 {
			w.log.state.Store(awake)
			return
		}
	}
	select {
	case <-w.log.wake:
	case answer := <-w.log.reopen:
		w.reopen(answer)
	case <-w.log.stop:
	}
	w.log.state.Store(awake)
}

// gather waits for more to write, but not for long. It reports false when the log is to end.
func (w *writer) gather(timer *time.Timer) bool {
	timer.Reset(w.flush)
	for {
		select {
		case <-w.log.stop:
			return false
		case answer := <-w.log.reopen:
			w.reopen(answer)
		case <-w.log.urgent:
			return true
		case <-timer.C:
			return true
		}
	}
}

// write formats and writes what is in the rings.
func (w *writer) write() {
	w.log.hurried.Store(false)
	for _, r := range w.log.all() {
		r.each(w.add)
	}
	w.out()
}

func (w *writer) add(r *record, strings []byte) {
	w.buf = w.format.append(w.buf, r, strings)
	w.lines++
	if len(w.buf) >= piece {
		w.out()
	}
}

func (w *writer) out() {
	if len(w.buf) == 0 {
		return
	}
	w.sink.turn(time.Now())
	lost := w.sink.write(w.buf)
	w.log.lost.Add(lost)
	w.log.written.Add(w.lines - lost)
	w.buf, w.lines = w.buf[:0], 0
}

func (w *writer) reopen(answer chan<- error) {
	w.write()
	answer <- w.sink.open()
}
