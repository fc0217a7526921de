package certs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"semper"
)

// InStore is a [Storage] in s, for the edges of all machines. Everything is below prefix, which should end in a slash;
// holder names this process among them. A lock is a leadership: its fence is a condition of each write under it, so
// the store itself refuses a write of one that has lost its lock, however late it comes.
//
// The store holds what it is given: package sealed encrypts it before.
func InStore(s semper.Store, prefix, holder string) Storage { return inStore{s, prefix, holder} }

type inStore struct {
	store          semper.Store
	prefix, holder string
}

func (s inStore) key(key string) (string, error) {
	if !fs.ValidPath(key) || key == "." {
		return "", fmt.Errorf("key %q: %w", key, fs.ErrInvalid)
	}
	return s.prefix + key, nil
}

func (s inStore) Load(ctx context.Context, key string) ([]byte, error) {
	k, err := s.key(key)
	if err != nil {
		return nil, err
	}
	item, err := s.store.Get(ctx, k)
	if errors.Is(err, semper.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return item.Value, err
}

func (s inStore) Store(ctx context.Context, key string, value []byte, under ...Lease) error {
	k, err := s.key(key)
	if err != nil {
		return err
	}
	t := semper.Txn{Then: []semper.Write{{Key: k, Value: value}}}
	for _, l := range under {
		led, ok := l.(*led)
		if !ok || isDone(l) {
			return fmt.Errorf("store %s: %w", key, ErrLeaseLost)
		}
		t.If = append(t.If, led.Fence())
	}
	_, err = s.store.Commit(ctx, t)
	if errors.Is(err, semper.ErrConflict) {
		return fmt.Errorf("store %s: %w", key, ErrLeaseLost)
	}
	return err
}

func (s inStore) Delete(ctx context.Context, key string) error {
	k, err := s.key(key)
	if err != nil {
		return err
	}
	_, err = s.store.Commit(ctx, semper.Txn{Then: []semper.Write{{Key: k, Delete: true}}})
	return err
}

func (s inStore) List(ctx context.Context, prefix string) ([]string, error) {
	items, _, err := s.store.List(ctx, s.prefix+prefix)
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = strings.TrimPrefix(it.Key, s.prefix)
	}
	return keys, err
}

// led is a leadership that is held as a lock.
type led struct {
	semper.Leadership
	end context.CancelFunc
}

// Lock leads a role under an id that nobody else has: one that came back with the same would take the lock from itself.
func (s inStore) Lock(ctx context.Context, name string) (Lease, error) {
	held, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end)
	l, err := s.store.Lead(held, s.prefix+name, s.holder+"-"+rand.Text())
	if !stop() && err == nil { // ctx ended, and with it the leadership
		err = errors.Join(ctx.Err(), l.Resign(context.WithoutCancel(ctx)))
	}
	if err != nil {
		end()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return &led{Leadership: l, end: end}, nil
}

func (l *led) Release(ctx context.Context) error {
	defer l.end()
	if isDone(l) {
		return nil
	}
	return l.Resign(ctx)
}
