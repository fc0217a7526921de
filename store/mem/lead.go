package mem

import (
	"context"
	"errors"

	"semper"
	"semper/store"
)

type leadership struct {
	store *Store
	fence semper.Condition
	done  chan struct{}
}

// Lead blocks until id leads role, or ctx ends.
func (s *Store) Lead(ctx context.Context, role, id string) (semper.Leadership, error) {
	key := store.LeadKey(role)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		held, taken := s.items[key]
		if !taken || string(held.Value) == id {
			l, err := s.takeLocked(ctx, semper.Condition{Key: key, Version: held.Version}, id)
			s.mu.Unlock()
			return l, err
		}
		closed, changed := s.closed, s.changed
		s.mu.Unlock()
		if closed {
			return nil, store.Closed()
		}
		select {
		case <-changed:
		case <-s.done:
			return nil, store.Closed()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Store) takeLocked(ctx context.Context, free semper.Condition, id string) (semper.Leadership, error) {
	rev, err := s.commitLocked(semper.Txn{
		If:   []semper.Condition{free},
		Then: []semper.Write{{Key: free.Key, Value: []byte(id)}},
	})
	if err != nil {
		return nil, err
	}
	l := &leadership{store: s, fence: semper.Condition{Key: free.Key, Version: rev}, done: make(chan struct{})}
	s.wg.Go(func() {
		defer close(l.done)
		l.hold(ctx)
	})
	return l, nil
}

// hold returns when the fence no longer holds; when ctx ended, it first gives the role up.
func (l *leadership) hold(ctx context.Context) {
	for {
		l.store.mu.Lock()
		held := l.store.items[l.fence.Key].Version == l.fence.Version
		changed := l.store.changed
		l.store.mu.Unlock()
		if !held {
			return
		}
		select {
		case <-changed:
		case <-l.store.done:
			return
		case <-ctx.Done():
			l.release()
			return
		}
	}
}

func (l *leadership) release() {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	// A conflict means that somebody else leads already, which is what was wanted.
	_, _ = l.store.commitLocked(semper.Txn{
		If:   []semper.Condition{l.fence},
		Then: []semper.Write{{Key: l.fence.Key, Delete: true}},
	})
}

// Fence holds exactly while this leadership does.
func (l *leadership) Fence() semper.Condition { return l.fence }

// Done is closed when the leadership is lost.
func (l *leadership) Done() <-chan struct{} { return l.done }

// Resign gives the role up and returns when Done is closed. Resigning what is lost is no error.
func (l *leadership) Resign(ctx context.Context) error {
	_, err := l.store.Commit(ctx, semper.Txn{
		If:   []semper.Condition{l.fence},
		Then: []semper.Write{{Key: l.fence.Key, Delete: true}},
	})
	if err != nil && !errors.Is(err, semper.ErrConflict) && semper.CodeOf(err) != semper.Unavailable {
		return err
	}
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
