package certs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

const (
	// TicketPeriod is how long one key encrypts session tickets.
	TicketPeriod = 12 * time.Hour
	// TicketLife is how long after its first use a key still decrypts them.
	TicketLife = 36 * time.Hour

	ticketCheck = 10 * time.Minute // how often the keys are looked at
	ticketLead  = time.Hour        // how long a key is there before its first use: every edge has looked by then
	ticketsKey  = "tickets"        // in the Storage, and the name of the lock
)

// ticketKey is one key, from its first use on.
type ticketKey struct {
	Key  [32]byte  `json:"key"`
	From time.Time `json:"from"`
}

func (k ticketKey) good(now time.Time) bool {
	// One from further ahead was made by a clock that was wrong.
	return now.Before(k.From.Add(TicketLife)) && k.From.Before(now.Add(TicketPeriod+ticketLead))
}

// rotate is what the keys should be at now, the latest first, and whether that differs from keys. A new one is fresh.
func rotate(keys []ticketKey, now time.Time, fresh [32]byte) (next []ticketKey, changed bool) {
	for _, k := range keys {
		if k.good(now) {
			next = append(next, k)
		}
	}
	slices.SortStableFunc(next, func(a, b ticketKey) int { return b.From.Compare(a.From) })
	switch {
	case len(next) == 0:
		return []ticketKey{{Key: fresh, From: now}}, true
	case !now.Before(next[0].From.Add(TicketPeriod - ticketLead)):
		from := next[0].From.Add(TicketPeriod)
		if from.Before(now) {
			from = now
		}
		return slices.Insert(next, 0, ticketKey{Key: fresh, From: from}), true
	}
	return next, len(next) != len(keys)
}

// arrange is keys as crypto/tls wants them: the one to encrypt with first, the others to decrypt with behind it.
func arrange(keys []ticketKey, now time.Time) [][32]byte {
	out := make([][32]byte, 0, len(keys))
	current := slices.IndexFunc(keys, func(k ticketKey) bool { return !k.From.After(now) })
	if current < 0 {
		current = len(keys) - 1 // all of them are of the future: a clock was set back
	}
	for i := range keys {
		switch {
		case i == 0:
			out = append(out, keys[current].Key)
		case i <= current:
			out = append(out, keys[i-1].Key)
		default:
			out = append(out, keys[i].Key)
		}
	}
	return out
}

func fresh() (k [32]byte) {
	rand.Read(k[:]) //nolint:errcheck // it never fails
	return k
}

// shareTickets brings the keys in s up to date and returns them. Without a storage it goes on from have.
func shareTickets(ctx context.Context, s Storage, have []ticketKey, now time.Time) ([]ticketKey, error) {
	if s == nil {
		next, _ := rotate(have, now, fresh())
		return next, nil
	}
	if keys, err := loadTickets(ctx, s); err == nil {
		if next, changed := rotate(keys, now, fresh()); !changed {
			return next, nil
		}
	}
	lease, err := s.Lock(ctx, ticketsKey)
	if err != nil {
		return nil, err
	}
	defer lease.Release(context.WithoutCancel(ctx)) //nolint:errcheck // what holds it is gone then
	keys, err := loadTickets(ctx, s)
	if err != nil && !errors.Is(err, errBadTickets) {
		return nil, err
	}
	next, changed := rotate(keys, now, fresh())
	if !changed {
		return next, nil
	}
	b, err := json.Marshal(next)
	if err != nil {
		return nil, err
	}
	return next, s.Store(ctx, ticketsKey, b, lease)
}

var errBadTickets = errors.New("the keys of session tickets cannot be read: they are made anew")

func loadTickets(ctx context.Context, s Storage) (keys []ticketKey, err error) {
	b, err := s.Load(ctx, ticketsKey)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := json.Unmarshal(b, &keys); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadTickets, err)
	}
	return keys, nil
}
