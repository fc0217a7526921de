package certs

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"
)

// adapter makes a [Storage] what certmagic wants: keys with directories, and locks by name.
//
// certmagic says neither with a write which lock it is done under. So whoever calls it does so in a context made by
// under: the locks taken in that context are the ones its writes depend on.
type adapter struct {
	s Storage

	mu   sync.Mutex
	held map[string]grant
}

type grant struct {
	lease Lease
	scope *scope // nil outside of one
}

// scope is the leases of one piece of work.
type scope struct {
	mu     sync.Mutex
	leases []Lease
}

type scopeKey struct{}

// under begins a piece of work: what is stored in the context it returns is stored only while every lock taken in it is
// held.
func under(ctx context.Context) context.Context { return context.WithValue(ctx, scopeKey{}, &scope{}) }

func scopeOf(ctx context.Context) *scope {
	s, _ := ctx.Value(scopeKey{}).(*scope)
	return s
}

func (s *scope) add(l Lease) {
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leases = append(s.leases, l)
	}
}

func (s *scope) drop(l Lease) {
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leases = slices.DeleteFunc(s.leases, func(x Lease) bool { return x == l })
	}
}

func (s *scope) all() []Lease {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.leases)
}

func newAdapter(s Storage) *adapter { return &adapter{s: s, held: map[string]grant{}} }

var _ certmagic.Storage = (*adapter)(nil)

func (a *adapter) Lock(ctx context.Context, name string) error {
	lease, err := a.s.Lock(ctx, name)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	g := grant{lease: lease, scope: scopeOf(ctx)}
	g.scope.add(lease)
	a.held[name] = g // one before it was lost: its holder will find that out
	return nil
}

func (a *adapter) Unlock(ctx context.Context, name string) error {
	a.mu.Lock()
	g, ok := a.held[name]
	if s := scopeOf(ctx); ok && s != nil && g.scope != s {
		ok = false // ours was lost, and this is its successor's
	} else {
		delete(a.held, name)
	}
	a.mu.Unlock()
	if !ok {
		return fmt.Errorf("unlock %s: %w", name, ErrLeaseLost)
	}
	g.scope.drop(g.lease)
	return g.lease.Release(ctx)
}

func (a *adapter) Store(ctx context.Context, key string, value []byte) error {
	return a.s.Store(ctx, key, value, scopeOf(ctx).all()...)
}

func (a *adapter) Load(ctx context.Context, key string) ([]byte, error) { return a.s.Load(ctx, key) }

// Delete removes the key and those below it.
func (a *adapter) Delete(ctx context.Context, key string) error {
	below, err := a.s.List(ctx, key+"/")
	if err != nil {
		return err
	}
	for _, k := range append(below, key) {
		if err := a.s.Delete(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

func (a *adapter) Exists(ctx context.Context, key string) bool {
	_, err := a.Stat(ctx, key)
	return err == nil
}

// List is what is in a directory; its directories too, as certmagic's own storage has it.
func (a *adapter) List(ctx context.Context, dir string, recursive bool) ([]string, error) {
	prefix := strings.TrimSuffix(dir, "/") + "/"
	if dir == "" {
		prefix = ""
	}
	keys, err := a.s.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 && prefix != "" {
		return nil, fmt.Errorf("list %s: %w", dir, fs.ErrNotExist)
	}
	var out []string
	for _, k := range keys {
		parts := strings.Split(strings.TrimPrefix(k, prefix), "/")
		if !recursive {
			parts = parts[:1]
		}
		for i := range parts {
			out = append(out, prefix+strings.Join(parts[:i+1], "/"))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (a *adapter) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, err := a.s.Load(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Size: int64(len(value)), IsTerminal: true}, nil
	}
	below, listErr := a.s.List(ctx, key+"/")
	if listErr == nil && len(below) > 0 {
		return certmagic.KeyInfo{Key: key}, nil
	}
	return certmagic.KeyInfo{}, err
}
