package streamstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"semper"
	"semper/store"
)

// ask is a commit that waits for its verdict.
type ask struct {
	txn  semper.Txn
	size int
	done chan verdict // gets one
}

// Commit performs all writes or none, and returns when that is durable. The values stay the caller's.
func (s *Store) Commit(ctx context.Context, t semper.Txn) (int64, error) {
	if err := store.Check(t); err != nil {
		return 0, err
	}
	if err := s.alive(ctx); err != nil {
		return 0, err
	}
	a := &ask{txn: t, done: make(chan verdict, 1)}
	for _, w := range t.Then {
		a.size += change{key: w.Key, value: w.Value}.size()
	}
	if a.size+2*overhead > s.limit {
		return 0, tooLarge(a.size, s.limit)
	}
	select {
	case s.asks <- a:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.ctx.Done():
		return 0, store.Closed()
	}
	select {
	case v := <-a.done:
		return v.revision, v.err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.ctx.Done():
		return 0, store.Closed()
	}
}

func tooLarge(size, limit int) error {
	return &semper.Error{Code: semper.Invalid, Op: "queue", Message: fmt.Sprintf("a commit of %d bytes is larger than the messages the nats-server takes, which are of %d", size, limit),
		Hint: "raise max_payload of the nats-server to 2MB"}
}

// write performs commits, one message at a time, until the store is closed. While one is under way, those that come wait
// for the next, together.
func (s *Store) write() {
	var left *ask
	for {
		first := left
		if first == nil {
			select {
			case first = <-s.asks:
			case <-s.ctx.Done():
				return
			}
		}
		var all []*ask
		all, left = s.gather(first)
		s.perform(all)
		s.compact()
	}
}

// groupMost is about how many bytes of waiting commits go into one message.
const groupMost = 256 << 10

func (s *Store) gather(first *ask) (all []*ask, left *ask) {
	all = []*ask{first}
	for size := first.size; size < groupMost; {
		select {
		case a := <-s.asks:
			if size += a.size; size+2*overhead > s.limit {
				return all, a
			}
			all = append(all, a)
		default:
			return all, nil
		}
	}
	return all, nil
}

// perform brings asks to their verdicts, in their order.
func (s *Store) perform(asks []*ask) {
	txns := make([]semper.Txn, len(asks))
	for i, a := range asks {
		txns[i] = a.txn
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.patience)
	defer cancel()
	verdicts, err := s.agree(ctx, txns)
	for i, a := range asks {
		if err != nil {
			a.done <- verdict{err: err}
		} else {
			a.done <- verdicts[i]
		}
	}
}

// agree decides txns by the state as it is, and appends what follows from it if the stream has not moved since; else it
// decides anew.
func (s *Store) agree(ctx context.Context, txns []semper.Txn) ([]verdict, error) {
	if err := s.until(ctx, func() bool { return s.loaded }); err != nil {
		return nil, s.unavailable(ctx, err)
	}
	for current := false; ; {
		s.mu.Lock()
		last := s.state.applied
		verdicts, commits := s.state.decide(txns)
		r := &record{origin: origin{s.writer, s.number + 1}, base: s.state.revision + 1, commits: commits}
		s.mu.Unlock()
		if len(commits) == 0 {
			// Nothing to write, and so nobody who says that this is how things stand.
			if current {
				return verdicts, nil
			}
			if err := s.current(ctx); err != nil {
				return nil, s.unavailable(ctx, err)
			}
			current = true
			continue
		}
		s.number++
		switch err := s.appendRecord(ctx, last, r); {
		case err == nil:
			return verdicts, nil
		case !errors.Is(err, errMoved):
			return nil, s.unavailable(ctx, err)
		}
		current = false
	}
}

// unavailable is err in the words of the contract: of a server that is away it is not known what it has done.
func (s *Store) unavailable(ctx context.Context, err error) error {
	switch {
	case s.ctx.Err() != nil:
		return store.Closed()
	case ctx.Err() != nil:
		return away("the nats-server does not answer; whether it was written is not known", err)
	}
	if e := s.alive(ctx); e != nil {
		return e
	}
	return err
}

// appendRecord appends r behind last and applies it. errMoved: something else stands there, and is applied. An answer that
// does not come is asked for again: what stands in the stream says whose it is.
func (s *Store) appendRecord(ctx context.Context, last uint64, r *record) error {
	message := r.encode()
	for rest := 20 * time.Millisecond; ; rest = min(2*rest, 500*time.Millisecond) {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		seq, err := s.remote.append(try, last, message)
		cancel()
		if err == nil && seq == last+1 {
			return s.wrote(ctx, seq, message)
		}
		if err == nil || errors.Is(err, errMoved) {
			s.nudge()
			if err := s.until(ctx, func() bool { return s.state.applied > last }); err != nil {
				return err
			}
			s.mu.Lock()
			ours := s.state.own[s.writer] >= r.origin.number
			s.mu.Unlock()
			if ours {
				return nil
			}
			return errMoved
		}
		if f := final(err); f != nil {
			return f
		}
		s.log.Debug("queue: append; trying again", "error", err)
		t := time.NewTimer(rest)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return errors.Join(ctx.Err(), err)
		}
	}
}

// wrote applies what was appended, and tells the others. While the state is being read it arrives with the rest.
func (s *Store) wrote(ctx context.Context, seq uint64, message []byte) error {
	s.say(seq)
	s.mu.Lock()
	if s.loaded && s.state.applied+1 == seq {
		defer s.mu.Unlock()
		return s.takeLocked(seq, message)
	}
	s.mu.Unlock()
	s.nudge()
	return s.until(ctx, func() bool { return s.state.applied >= seq })
}
