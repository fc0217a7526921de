package streamstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"semper"
	"semper/store"
)

// round is one question for the stream's last sequence, for all who came before it was asked.
type round struct {
	done chan struct{}
	err  error
}

// current returns when everything is applied that was in the stream when it was called.
func (s *Store) current(ctx context.Context) error {
	s.mu.Lock()
	if s.ctx.Err() != nil {
		s.mu.Unlock()
		return store.Closed()
	}
	r := s.round
	if r == nil {
		r = &round{done: make(chan struct{})}
		s.round = r
		if !s.asking {
			s.asking = true
			s.wg.Go(s.rounds)
		}
	}
	s.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rounds asks for as long as somebody waits.
func (s *Store) rounds() {
	for {
		s.mu.Lock()
		r := s.round
		s.round = nil
		if r == nil {
			s.asking = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		r.err = s.patiently(s.catchUp)
		close(r.done)
	}
}

// patiently repeats f until it gives no error, for as long as a call may wait.
func (s *Store) patiently(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.patience)
	defer cancel()
	for rest := 10 * time.Millisecond; ; rest = min(2*rest, 500*time.Millisecond) {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := f(try)
		cancel()
		if err == nil {
			return nil
		}
		t := time.NewTimer(rest)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		if e := s.alive(context.Background()); e != nil {
			return e
		}
		if ctx.Err() != nil {
			return away("the nats-server does not answer", err)
		}
	}
}

// enter brings the state to now, for a read.
func (s *Store) enter(ctx context.Context) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	return s.current(ctx)
}

// Get is the value at key, linearizable.
func (s *Store) Get(ctx context.Context, key string) (semper.Item, error) {
	items, err := s.Fetch(ctx, key)
	if err != nil {
		return semper.Item{}, err
	}
	if items[0].Version == 0 {
		return semper.Item{}, store.NotFound(key)
	}
	return items[0], nil
}

// Fetch reads keys as of one revision.
func (s *Store) Fetch(ctx context.Context, keys ...string) ([]semper.Item, error) {
	if err := store.CheckFetch(len(keys)); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	for {
		entries := make([]*entry, len(keys))
		s.mu.Lock()
		for i, key := range keys {
			entries[i] = s.state.items.get(key)
		}
		s.mu.Unlock()
		items, err := s.items(ctx, keys, entries)
		if !errors.Is(err, errOvertaken) {
			return items, err
		}
	}
}

func (s *Store) items(ctx context.Context, keys []string, entries []*entry) ([]semper.Item, error) {
	items := make([]semper.Item, len(keys))
	for i, e := range entries {
		items[i].Key = keys[i]
		if e == nil {
			continue
		}
		value, err := s.value(ctx, e)
		if err != nil {
			return nil, err
		}
		items[i].Value, items[i].Version = value, e.version
	}
	return items, nil
}

// List is every item below prefix in key order, and the revision.
func (s *Store) List(ctx context.Context, prefix string) (items []semper.Item, revision int64, err error) {
	for {
		items = nil
		revision, err = s.Scan(ctx, []store.Range{{Prefix: prefix}}, func(it semper.Item) error {
			items = append(items, it)
			return nil
		})
		if !errors.Is(err, errOvertaken) {
			return items, revision, err
		}
	}
}

// Scan visits every item of ranges as of one revision. It holds their keys, and one value at a time.
func (s *Store) Scan(ctx context.Context, ranges []store.Range, visit func(semper.Item) error) (int64, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	found := make([][]*entry, len(ranges))
	s.mu.Lock()
	revision := s.state.revision
	for i, r := range ranges {
		s.state.items.below(r.Prefix, r.After, func(e *entry) bool {
			found[i] = append(found[i], e)
			return true
		})
	}
	s.mu.Unlock()
	for i, r := range ranges {
		for _, e := range found[i] {
			it := semper.Item{Key: e.key, Version: e.version}
			if !r.Keys {
				var err error
				it.Value, err = s.value(ctx, e)
				if err != nil && (!r.Lax || semper.CodeOf(err) != semper.Tampered) {
					return revision, err
				}
			}
			if err := visit(it); err != nil {
				return revision, err
			}
		}
	}
	return revision, ctx.Err()
}

// errOvertaken is that a value is no longer in the stream, because its key has another since. It is Unavailable.
var errOvertaken = errors.New("it has changed meanwhile")

// value is e's, as bytes of the caller's own.
func (s *Store) value(ctx context.Context, e *entry) ([]byte, error) {
	if e.size == 0 {
		return []byte{}, nil
	}
	if e.small != nil {
		return slices.Clone(e.small), nil
	}
	var gone uint64
	for {
		s.mu.Lock()
		seq, at, message, there := e.seq, e.at, s.recent.messages[e.seq], s.state.items.get(e.key) == e
		s.mu.Unlock()
		if message == nil && seq == gone { // it was looked for, and nothing has moved it
			if !there {
				return nil, &semper.Error{Code: semper.Unavailable, Op: "queue", Message: e.key, Hint: "begin again", Err: errOvertaken}
			}
			return nil, &semper.Error{Code: semper.Tampered, Op: "queue", Message: fmt.Sprintf("%s: message %d is not in the stream", e.key, seq), Err: semper.ErrCorrupt}
		}
		if message == nil {
			switch m, err := s.message(ctx, seq); {
			case errors.Is(err, errGone):
				gone = seq
				if err := s.current(ctx); err != nil {
					return nil, err
				}
				continue
			case err != nil:
				return nil, err
			default:
				message = m
			}
		}
		if at+e.size > len(message) {
			return nil, &semper.Error{Code: semper.Tampered, Op: "queue", Message: fmt.Sprintf("%s: message %d of the stream is another", e.key, seq), Err: semper.ErrCorrupt}
		}
		return slices.Clone(message[at : at+e.size]), nil
	}
}

// missingOften is how often a message is looked for before it is taken to be gone.
const missingOften = 3

// message is the one at seq, whole, from the stream.
func (s *Store) message(ctx context.Context, seq uint64) (message []byte, err error) {
	missing := 0 // times; a replica that is behind does not have it yet
	err = s.patiently(func(try context.Context) (err error) {
		select {
		case <-ctx.Done():
			return nil // nobody waits for it
		default:
		}
		if missing == missingOften {
			return nil
		}
		if message, err = s.remote.read(try, seq); errors.Is(err, errGone) {
			missing++
		}
		return err
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case message == nil:
		return nil, errGone
	}
	if _, err := decode(message); err != nil {
		return nil, &semper.Error{Code: semper.Tampered, Op: "queue", Message: fmt.Sprintf("message %d of the stream", seq), Err: errors.Join(err, semper.ErrCorrupt)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.put(seq, message)
	return message, nil
}

// recent is the messages that were last written or read.
type recent struct {
	messages map[uint64][]byte
	order    []uint64
	bytes    int
}

// recentBytes is how much of them is kept.
const recentBytes = 32 << 20

func (r *recent) put(seq uint64, message []byte) {
	if r.messages[seq] != nil {
		return
	}
	r.messages[seq] = message
	r.order = append(r.order, seq)
	for r.bytes += len(message); r.bytes > recentBytes && len(r.order) > 1; {
		r.bytes -= len(r.messages[r.order[0]])
		delete(r.messages, r.order[0])
		r.order = r.order[1:]
	}
}
