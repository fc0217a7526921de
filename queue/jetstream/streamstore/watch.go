package streamstore

import (
	"context"
	"slices"
	"strings"
	"sync"

	"semper"
)

// past is the commits that were applied last, for watches that begin a little before the present.
type past struct {
	commits []happened
	bytes   int
	floor   int64 // nothing up to it is known
}

// pastBytes is how much of them is kept.
const pastBytes = 16 << 20

func (p *past) add(h happened) {
	p.commits = append(p.commits, h)
	p.bytes += weigh(h)
	n := 0
	for ; p.bytes > pastBytes && n < len(p.commits)-1; n++ {
		p.bytes -= weigh(p.commits[n])
		p.floor = p.commits[n].revision
		p.commits[n] = happened{}
	}
	p.commits = p.commits[n:]
}

func weigh(h happened) (n int) {
	for _, c := range h.changes {
		n += c.size()
	}
	return n
}

// watch is one Watch. What is not read yet waits in its queue, so that no reader holds up a commit.
type watch struct {
	prefix string
	after  int64
	wake   chan struct{} // holds one when queue may have grown
	lost   chan struct{}
	once   sync.Once // closes lost

	mu    sync.Mutex // guards queue
	queue [][]semper.Change
}

// Watch sends every change below prefix with a revision > after, one batch per commit. Where that is too long ago, it is
// closed at once.
func (s *Store) Watch(ctx context.Context, prefix string, after int64) (<-chan []semper.Change, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	out := make(chan []semper.Change)
	w := &watch{prefix: prefix, after: after, wake: make(chan struct{}, 1), lost: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if after < s.past.floor && after < s.state.revision || s.ctx.Err() != nil {
		close(out)
		return out, nil
	}
	for _, h := range s.past.commits {
		w.offer(h)
	}
	s.watches[w] = true
	s.wg.Go(func() {
		defer close(out)
		w.pump(ctx, s.ctx.Done(), out)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watches, w)
	})
	return out, nil
}

func (w *watch) lose() { w.once.Do(func() { close(w.lost) }) }

func (w *watch) offer(h happened) {
	if h.revision <= w.after {
		return
	}
	var mine []semper.Change
	for _, c := range h.changes {
		if strings.HasPrefix(c.key, w.prefix) {
			mine = append(mine, semper.Change{Item: semper.Item{Key: c.key, Value: slices.Clone(c.value), Version: h.revision}, Deleted: c.deleted})
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

func (w *watch) pump(ctx context.Context, closed <-chan struct{}, out chan<- []semper.Change) {
	for {
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, batch := range queue {
			select {
			case out <- batch:
				continue
			case <-ctx.Done():
			case <-w.lost:
			case <-closed:
			}
			return
		}
		select {
		case <-w.wake:
			continue
		case <-ctx.Done():
		case <-w.lost:
		case <-closed:
		}
		return
	}
}
