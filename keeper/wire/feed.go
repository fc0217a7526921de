package wire

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync"

	"semper"
)

// maxPending is how many changes a watcher may be behind before it gets the whole again instead.
const maxPending = 4096

// A Feed is the keeper's end of [Client.Watch].
type Feed struct {
	// All is the whole. It calls then while nothing can change, and so nothing be published.
	All func(then func()) []semper.InstanceStatus

	mu       sync.Mutex // guards the following, and every watcher's fields
	watchers map[*watcher]bool
}

type watcher struct {
	wake    chan struct{} // readable when there is something pending
	pending []semper.InstanceStatus
	behind  bool // the whole is due
}

// Publish hands a change to every watcher. It does not wait for any of them.
func (f *Feed) Publish(st semper.InstanceStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		if len(w.pending) >= maxPending {
			w.pending, w.behind = nil, true
		}
		if !w.behind {
			w.pending = append(w.pending, st)
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Serve writes one JSON array per line, the whole first.
func (f *Feed) Serve(rw http.ResponseWriter, r *http.Request) {
	w := &watcher{wake: make(chan struct{}, 1), behind: true}
	w.wake <- struct{}{}
	f.mu.Lock()
	if f.watchers == nil {
		f.watchers = map[*watcher]bool{}
	}
	f.watchers[w] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watchers, w)
		f.mu.Unlock()
	}()
	rw.Header().Set("Content-Type", "application/jsonl")
	enc, ctl := json.NewEncoder(rw), http.NewResponseController(rw)
	for {
		select {
		case <-w.wake:
		case <-r.Context().Done():
			return
		}
		if err := errors.Join(enc.Encode(f.take(w)), ctl.Flush()); err != nil {
			return
		}
	}
}

// take empties w.
func (f *Feed) take(w *watcher) []semper.InstanceStatus {
	f.mu.Lock()
	batch, behind := w.pending, w.behind
	w.pending = nil
	f.mu.Unlock()
	if !behind {
		return batch
	}
	return f.All(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		w.pending, w.behind = nil, false // the whole has it
	})
}
