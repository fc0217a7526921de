package mem

import (
	"context"
	"slices"
	"strings"
	"sync"

	"semper"
	"semper/store"
)

// watch is one Watch. The pump goroutine sends what offer queued, so that no reader holds up a commit.
type watch struct {
	prefix string
	after  int64
	wake   chan struct{} // holds one when queue may have grown
	lost   chan struct{}
	once   sync.Once // closes lost

	mu    sync.Mutex // guards queue
	queue [][]semper.Change
}

// Watch sends every change below prefix with a revision > after, one batch per commit.
func (s *Store) Watch(ctx context.Context, prefix string, after int64) (<-chan []semper.Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make(chan []semper.Change)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.Closed()
	}
	if after < s.compacted {
		close(out)
		return out, nil
	}
	w := &watch{prefix: prefix, after: after, wake: make(chan struct{}, 1), lost: make(chan struct{})}
	for _, c := range s.history {
		w.offer(c)
	}
	s.watches[w] = true
	s.wg.Go(func() {
		defer close(out)
		defer s.forget(w)
		w.pump(ctx, s.done, out)
	})
	return out, nil
}

func (s *Store) forget(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watches, w)
}

func (w *watch) lose() { w.once.Do(func() { close(w.lost) }) }

func (w *watch) offer(c commit) {
	if c.revision <= w.after {
		return
	}
	var mine []semper.Change
	for _, ch := range c.changes {
		if strings.HasPrefix(ch.Key, w.prefix) {
			ch.Value = slices.Clone(ch.Value)
			mine = append(mine, ch)
		}
	}
	if len(mine) == 0 {
		return
	}
	w.mu.Lock()
	w.queue = append(w.queue, mine)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watch) take() [][]semper.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := w.queue
	w.queue = nil
	return q
}

func (w *watch) pump(ctx context.Context, closed <-chan struct{}, out chan<- []semper.Change) {
	for {
		for _, batch := range w.take() {
			select {
			case out <- batch:
			case <-ctx.Done():
				return
			case <-w.lost:
				return
			case <-closed:
				return
			}
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		case <-w.lost:
			return
		case <-closed:
			return
		}
	}
}
