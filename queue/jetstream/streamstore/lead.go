package streamstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"semper"
	"semper/store"
)

// A leadership is a key whose version is the fence: whoever acts on condition of it leads, whatever anybody believes. Who
// may take it from whom is a matter of hearing: leaders say outside of the stream, a few times per lease, that they are
// there. Hearing nothing for a lease is no proof, and need be none.

// word is what processes tell each other.
type word struct {
	Seq   uint64   `json:"seq"`             // the stream has come so far
	Roles []string `json:"roles,omitempty"` // the sender leads
}

// say tells the others that the stream has moved.
func (s *Store) say(seq uint64) { s.send(word{Seq: seq}) }

func (s *Store) send(w word) {
	if text, err := json.Marshal(w); err == nil {
		_ = s.remote.nc.Publish(toldSubject(s.remote.name), text) // whoever misses it looks by himself
	}
}

// hear takes in what another process says, or this one.
func (s *Store) hear(m *nats.Msg) {
	var w word
	if json.Unmarshal(m.Data, &w) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, role := range w.Roles {
		s.heard[role] = now
	}
	if w.Seq > s.state.applied {
		s.nudge()
	}
}

// tell says which roles this process has, until the store is closed, and keeps the time since when it could hear.
func (s *Store) tell() {
	tick := time.NewTicker(s.lease / 4)
	defer tick.Stop()
	for was := true; ; {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		is := s.remote.nc.IsConnected()
		s.mu.Lock()
		if is && !was {
			s.since = time.Now()
		}
		w := word{Seq: s.state.applied}
		for role := range s.roles {
			w.Roles = append(w.Roles, role)
		}
		s.mu.Unlock()
		was = is
		if len(w.Roles) > 0 && is {
			slices.Sort(w.Roles)
			s.send(w)
		}
	}
}

// Lead blocks until id leads role, or ctx ends.
func (s *Store) Lead(ctx context.Context, role, id string) (semper.Leadership, error) {
	key := store.LeadKey(role)
	waits := time.Now()
	for {
		if err := s.enter(ctx); err != nil {
			return nil, err
		}
		s.mu.Lock()
		held := s.state.items.get(key)
		changed := s.keyLocked(key)
		silent := later(later(s.heard[role], s.since), waits).Add(s.lease)
		s.mu.Unlock()
		free, who, err := s.holder(ctx, key, held)
		if err != nil {
			return nil, err
		}
		if held == nil || who == id || time.Now().After(silent) && s.remote.nc.IsConnected() {
			l, err := s.assume(ctx, role, free, id)
			if err == nil || !errors.Is(err, semper.ErrConflict) {
				return l, err
			}
			continue
		}
		t := time.NewTimer(max(time.Until(silent), s.lease/4))
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		t.Stop()
		if s.ctx.Err() != nil {
			return nil, store.Closed()
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// holder is the condition that nothing changes, and who leads.
func (s *Store) holder(ctx context.Context, key string, e *entry) (semper.Condition, string, error) {
	if e == nil {
		return semper.Condition{Key: key}, "", nil
	}
	value, err := s.value(ctx, e)
	if errors.Is(err, errOvertaken) {
		err = nil
	}
	return semper.Condition{Key: key, Version: e.version}, string(value), err
}

// keyLocked is closed when key changes.
func (s *Store) keyLocked(key string) <-chan struct{} {
	c := s.keys[key]
	if c == nil {
		c = make(chan struct{})
		s.keys[key] = c
	}
	return c
}

type leadership struct {
	store *Store
	role  string
	fence semper.Condition
	done  chan struct{}
}

func (s *Store) assume(ctx context.Context, role string, free semper.Condition, id string) (semper.Leadership, error) {
	revision, err := s.Commit(ctx, semper.Txn{If: []semper.Condition{free}, Then: []semper.Write{{Key: free.Key, Value: []byte(id)}}})
	if err != nil {
		return nil, err
	}
	l := &leadership{store: s, role: role, fence: semper.Condition{Key: free.Key, Version: revision}, done: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, store.Closed()
	}
	s.roles[role] = l
	s.wg.Go(func() {
		defer close(l.done)
		l.hold(ctx)
	})
	return l, nil
}

// hold returns when the fence no longer holds; when ctx or the store ended, it first gives the role up.
func (l *leadership) hold(ctx context.Context) {
	s := l.store
	for {
		s.mu.Lock()
		e := s.state.items.get(l.fence.Key)
		held := e != nil && e.version == l.fence.Version
		if s.loaded && !held {
			if s.roles[l.role] == l {
				delete(s.roles, l.role)
			}
			s.mu.Unlock()
			return
		}
		changed := s.keyLocked(l.fence.Key)
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			l.release()
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// release gives the role up. A conflict means that somebody else leads already, which is what was wanted.
func (l *leadership) release() {
	ctx, cancel := context.WithTimeout(l.store.ctx, l.store.patience)
	defer cancel()
	_, _ = l.store.Commit(ctx, l.end())
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.store.roles[l.role] == l {
		delete(l.store.roles, l.role)
	}
}

func (l *leadership) end() semper.Txn {
	return semper.Txn{If: []semper.Condition{l.fence}, Then: []semper.Write{{Key: l.fence.Key, Delete: true}}}
}

// Fence holds exactly while this leadership does.
func (l *leadership) Fence() semper.Condition { return l.fence }

// Done is closed when the leadership is lost.
func (l *leadership) Done() <-chan struct{} { return l.done }

// Resign gives the role up and returns when Done is closed. Resigning what is lost is no error.
func (l *leadership) Resign(ctx context.Context) error {
	_, err := l.store.Commit(ctx, l.end())
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
