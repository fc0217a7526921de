package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"semper/edge/certs/localca"
)

const authorityKey = "local-authority" // in the Storage, and the name of the lock

// authorize has the local authority from the storage. Until the storage answers there is one of this process alone.
func (m *Manager) authorize(ctx context.Context) error {
	have := m.local.Load()
	if have != nil && m.settled && have.Good(time.Now()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	a, err := shareAuthority(ctx, m.storage, time.Now())
	if err != nil {
		if have == nil {
			text, makeErr := localca.Make(time.Now())
			if makeErr != nil {
				return errors.Join(err, makeErr)
			}
			if a, makeErr = localca.Parse(text); makeErr != nil {
				return errors.Join(err, makeErr)
			}
			m.local.Store(a)
			m.log.Warn("local certificates come from an authority of this process until the storage answers", "error", err)
		}
		return fmt.Errorf("local authority: %w", err)
	}
	m.settled = true
	m.local.Store(a)
	if err := m.showRoot(a); err != nil {
		m.log.Warn("the root of the local authority is not shown: clients cannot be told to trust it", "file", m.o.RootFile, "error", err)
	}
	return nil
}

// shareAuthority is the authority in s, which is made when there is none, or its end is near.
func shareAuthority(ctx context.Context, s Storage, now time.Time) (*localca.Authority, error) {
	if s == nil {
		text, err := localca.Make(now)
		if err != nil {
			return nil, err
		}
		return localca.Parse(text)
	}
	if a, err := loadAuthority(ctx, s, now); err != nil || a != nil {
		return a, err
	}
	lease, err := s.Lock(ctx, authorityKey)
	if err != nil {
		return nil, err
	}
	defer lease.Release(context.WithoutCancel(ctx)) //nolint:errcheck // what holds it is gone then
	if a, err := loadAuthority(ctx, s, now); err != nil || a != nil {
		return a, err
	}
	text, err := localca.Make(now)
	if err != nil {
		return nil, err
	}
	if err := s.Store(ctx, authorityKey, text, lease); err != nil {
		return nil, err
	}
	return localca.Parse(text)
}

// loadAuthority is nil without an error where one is to be made.
func loadAuthority(ctx context.Context, s Storage, now time.Time) (*localca.Authority, error) {
	text, err := s.Load(ctx, authorityKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // said above
	}
	if err != nil {
		return nil, err
	}
	a, err := localca.Parse(text)
	if err != nil || a.Good(now) {
		return a, err
	}
	return nil, nil //nolint:nilnil // said above
}

// showRoot writes what clients are to trust where people find it.
func (m *Manager) showRoot(a *localca.Authority) error {
	if m.o.RootFile == "" {
		return nil
	}
	if old, err := os.ReadFile(m.o.RootFile); err == nil && bytes.Equal(old, a.Root()) {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(m.o.RootFile), tmpName+"*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it has another name by then, or is of no use
	_, err = tmp.Write(a.Root())
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), m.o.RootFile)
}

// own is the local authority's certificate for name, where it is to give one: name is one of those of SetNames, or all are.
func (m *Manager) own(name string) (cert *tls.Certificate, ours bool, err error) {
	a := m.local.Load()
	if a == nil || len(name) > 253 || !m.names.Load().local(name) {
		return nil, false, nil
	}
	cert, err = a.Certificate(name)
	return cert, true, err
}
