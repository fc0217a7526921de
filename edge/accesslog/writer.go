package accesslog

import (
	"context"
	"sync"
	"time"
)

// piece is how much is written at once.
const piece = 64 << 10

// A writer takes records out of the rings and writes their lines.
type writer struct {
	log *Log

	mu sync.Mutex // guards what follows; held while something is written
	*Target
	buf   []byte
	lines uint64 // in buf
}

// locked has do do something while nothing else is written.
func (w *writer) locked(do func(*writer) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return do(w)
}

// serve is Log.Serve.
func (w *writer) serve(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for w.rest(ctx) && w.gather(ctx, timer) {
		if err := w.locked(func(w *writer) error { w.write(); return nil }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// rest waits while there is nothing to write. It reports false when that is over.
func (w *writer) rest(ctx context.Context) bool {
	l := w.log
	l.state.CompareAndSwap(awake, asleep)
	defer l.state.CompareAndSwap(asleep, awake)
	for _, r := range l.all() {
		if r.waiting() > 0 {
			return true
		}
	}
	select {
	case <-l.wake:
		return true
	case <-l.stop:
	case <-ctx.Done():
	}
	return false
}

// gather waits for more to write, but not for long. It reports false as rest does.
func (w *writer) gather(ctx context.Context, timer *time.Timer) bool {
	w.mu.Lock()
	timer.Reset(w.flush)
	w.mu.Unlock()
	select {
	case <-w.log.urgent:
		return true
	case <-timer.C:
		return true
	case <-w.log.stop:
	case <-ctx.Done():
	}
	return false
}

// write formats and writes what is in the rings. The caller holds mu.
func (w *writer) write() {
	w.log.hurried.Store(false)
	for _, r := range w.log.all() {
		r.each(w.add)
	}
	w.out()
}

func (w *writer) add(r *record, strings []byte) {
	before := len(w.buf)
	done := false
	defer func() {
		if !done { // a record that cannot be written is lost, and no half of its line stays
			w.buf = w.buf[:before]
			w.log.lost.Add(1)
		}
	}()
	w.buf = w.format.append(w.buf, r, strings)
	done = true
	w.lines++
	if len(w.buf) >= piece {
		w.out()
	}
}

func (w *writer) out() {
	if len(w.buf) == 0 {
		return
	}
	b, n := w.buf, w.lines
	w.buf, w.lines = w.buf[:0], 0 // once only, whatever becomes of it
	lost := n
	defer func() {
		w.log.lost.Add(lost)
		w.log.written.Add(n - lost)
	}()
	w.sink.turn(time.Now())
	lost = w.sink.write(b)
}
