package certs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// How long it is until what edges share is asked for again that could not be had.
const (
	settleMin = time.Second
	settleMax = time.Minute
)

// settle has what edges share brought up to date: soon again while the storage does not answer, else at ticketCheck.
func (m *Manager) settle(failed error) {
	wait := settleMin
	for {
		pause := ticketCheck
		if failed != nil {
			pause, wait = jitter(wait), min(2*wait, settleMax)
		} else {
			wait = settleMin
		}
		select {
		case <-m.ctx.Done():
			return
		case <-time.After(pause):
		}
		before := failed
		if failed = m.share(m.ctx); failed != nil && before == nil {
			m.tell(failed)
		}
	}
}

// share brings the keys of tickets and the local authority up to date.
func (m *Manager) share(ctx context.Context) error {
	err := m.turn(ctx)
	if m.o.Local {
		err = errors.Join(err, m.authorize(ctx))
	}
	return err
}

// turn brings the keys of tickets up to date.
func (m *Manager) turn(ctx context.Context) error {
	m.mu.Lock()
	have := m.tickets
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	keys, err := shareTickets(ctx, m.storage, have, time.Now())
	switch {
	case err == nil:
	case len(have) == 0:
		// Nothing to share yet: these are good for this process alone.
		keys, _ = rotate(nil, time.Now(), fresh())
		m.log.Warn("session tickets are not shared until the storage answers", "error", err)
	default:
		return fmt.Errorf("keys of session tickets: %w", err)
	}
	m.mu.Lock()
	m.tickets = keys
	m.mu.Unlock()
	return errors.Join(err, m.rebuild())
}

// shareTimeout bounds how long what edges share is waited for: at the start, too.
const shareTimeout = 3 * time.Second
