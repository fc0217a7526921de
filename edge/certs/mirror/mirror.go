// Package mirror keeps a copy of what edges share beside each of them: an edge whose store is away still has its certificates,
// also when it begins just then (law L9).
package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"semper/edge/certs"
)

const (
	patience = 2 * time.Second // for one reading of what is shared
	pause    = 5 * time.Second // for which one that did not answer is not asked again
)

// Of is a [certs.Storage] that is far, with a copy of all that was read and written in near. Far rules: near is read only
// while far does not answer, and nothing is written, and no lock held, without it. A copy that cannot be written is
// told to log, and costs nothing else.
func Of(far, near certs.Storage, log *slog.Logger) certs.Storage {
	return &mirror{far: far, near: near, log: log, now: time.Now}
}

type mirror struct {
	far, near certs.Storage
	log       *slog.Logger
	now       func() time.Time
	until     atomic.Int64 // when far may be asked again: Unix nanoseconds
}

// away reports whether far has just not answered.
func (m *mirror) away() bool { return m.now().UnixNano() < m.until.Load() }

// ask asks far, for a bounded time, and remembers that it did not answer. ok is false then. A caller who gave up says
// nothing of it.
func (m *mirror) ask(ctx context.Context, f func(context.Context) error) (ok bool, err error) {
	if m.away() {
		return false, errAway
	}
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = f(short)
	if answered(err) {
		return true, err
	}
	if ctx.Err() == nil {
		m.until.Store(m.now().Add(pause).UnixNano())
	}
	return false, err
}

var errAway = errors.New("what edges share is away: it is asked again within seconds")

func answered(err error) bool {
	return err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid)
}

func (m *mirror) Load(ctx context.Context, key string) (value []byte, err error) {
	ok, err := m.ask(ctx, func(ctx context.Context) (err error) {
		value, err = m.far.Load(ctx, key)
		return err
	})
	switch {
	case ok && err == nil:
		m.copy(ctx, key, value)
		return value, nil
	case ok || ctx.Err() != nil:
		return nil, err
	}
	value, nearErr := m.near.Load(ctx, key)
	if nearErr != nil {
		return nil, err // that there is no copy does not say that there is nothing
	}
	return value, nil
}

// copy keeps value near, unless it is there.
func (m *mirror) copy(ctx context.Context, key string, value []byte) {
	if old, err := m.near.Load(ctx, key); err == nil && bytes.Equal(old, value) {
		return
	}
	if err := m.near.Store(ctx, key, value); err != nil {
		m.log.Warn("no copy is kept of what edges share: this edge could not begin without the store", "key", key, "error", err)
	}
}

func (m *mirror) Store(ctx context.Context, key string, value []byte, under ...certs.Lease) error {
	if err := m.far.Store(ctx, key, value, under...); err != nil {
		return err
	}
	m.copy(ctx, key, value)
	return nil
}

func (m *mirror) Delete(ctx context.Context, key string) error {
	if err := m.far.Delete(ctx, key); err != nil {
		return err
	}
	return m.near.Delete(ctx, key)
}

func (m *mirror) List(ctx context.Context, prefix string) (keys []string, err error) {
	ok, err := m.ask(ctx, func(ctx context.Context) (err error) {
		keys, err = m.far.List(ctx, prefix)
		return err
	})
	if ok || ctx.Err() != nil {
		return keys, err
	}
	return m.near.List(ctx, prefix)
}

// Lock waits for far's. While that is away it does not wait.
func (m *mirror) Lock(ctx context.Context, name string) (certs.Lease, error) {
	if m.away() {
		return nil, fmt.Errorf("lock %s: %w", name, errAway)
	}
	return m.far.Lock(ctx, name)
}
