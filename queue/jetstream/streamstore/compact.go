package streamstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// carryMost is about how many bytes one carry takes along.
const carryMost = 256 << 10

// goal is up to where the stream may be purged after its living part has been carried on, or 0: it is worth it when more of
// it is dead than lives, and slack beside.
func (s *state) goal(slack int64) uint64 {
	excess := s.stored - 2*s.live - slack/2
	if excess < slack/2 {
		return 0
	}
	var through uint64
	carried := int64(0)
	for i, g := range s.segments[:max(len(s.segments)-1, 0)] {
		if carried += g.live; carried > carryMost && i > 0 || excess < 0 {
			break
		}
		through = g.seq
		excess -= g.size
	}
	return through
}

// purgeEvery is how long a purge that failed is left alone.
const purgeEvery = 5 * time.Second

// compact makes the stream shorter by a piece, if much of it is dead. It is the writer's: no commit of this process is
// under way. What another process appends meanwhile makes it try again later.
func (s *Store) compact() {
	s.mu.Lock()
	through := s.state.goal(s.slack)
	if !s.loaded || s.broken != nil || time.Now().Before(s.rested) {
		through = 0
	}
	s.mu.Unlock()
	if through == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.patience)
	defer cancel()
	err := s.carryOn(ctx, through)
	if err == nil || errors.Is(err, errMoved) {
		return
	}
	s.mu.Lock()
	s.rested = time.Now().Add(purgeEvery)
	s.mu.Unlock()
	if s.ctx.Err() == nil {
		s.log.Warn("queue: the stream could not be made shorter; trying again later", "stream", s.remote.name, "error", err)
	}
}

// carryOn appends what lives in the messages up to through, and purges them.
func (s *Store) carryOn(ctx context.Context, through uint64) error {
	s.mu.Lock()
	last := s.state.applied
	var alive []uint64
	for _, g := range s.state.segments {
		if g.seq <= through && g.live > 0 {
			alive = append(alive, g.seq)
		}
	}
	s.mu.Unlock()
	r := &record{through: through, carried: []change{}}
	for _, seq := range alive {
		message, err := s.stored(ctx, seq)
		if err != nil {
			return err
		}
		if err := s.living(r, seq, message); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.number++
	r.origin, r.base = origin{s.writer, s.number}, s.state.revision
	moved := s.state.applied != last
	s.mu.Unlock()
	if moved {
		return errMoved
	}
	if err := s.appendRecord(ctx, last, r); err != nil {
		return err
	}
	if err := s.remote.purge(ctx, through); err != nil {
		return fmt.Errorf("purge up to %d: %w", through, err)
	}
	return nil
}

func (s *Store) stored(ctx context.Context, seq uint64) ([]byte, error) {
	s.mu.Lock()
	message := s.recent.messages[seq]
	s.mu.Unlock()
	if message != nil {
		return message, nil
	}
	return s.message(ctx, seq)
}

// living adds what lives in the message at seq to r.
func (s *Store) living(r *record, seq uint64, message []byte) error {
	old, err := decode(message)
	if err != nil {
		return damagedAt(seq, err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	take := func(c change) {
		if e := s.state.items.get(c.key); e != nil && e.seq == seq && e.at == c.at && !c.deleted {
			c.version = e.version
			r.carried = append(r.carried, c)
		}
	}
	for _, c := range old.commits {
		for _, ch := range c {
			take(ch)
		}
	}
	for _, ch := range old.carried {
		take(ch)
	}
	return nil
}
