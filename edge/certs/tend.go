package certs

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	retryMin = time.Minute
	retryMax = 6 * time.Hour
	// handshakeWait bounds how long a handshake waits for the first try at its name.
	handshakeWait = time.Minute
	// maxOnDemand bounds the names that have certificates on demand, whatever Allow says.
	maxOnDemand = 10_000
)

// worker does the work for one name, in the caller's goroutine.
type worker interface {
	// load is the certificate in the storage; nobody else is asked for one.
	load(ctx context.Context, name string) (*tls.Certificate, error)
	// obtain brings the certificate up to date: orders it if there is none, renews it if it is time. attempt counts the tries
	// that failed since the last that did not. An error may come with a certificate: the one that could not be renewed.
	obtain(ctx context.Context, name string, attempt int) (*tls.Certificate, error)
}

// tended is a name whose certificate the authority gives, and the goroutine that sees to it.
type tended struct {
	name   string
	demand bool // asked for by a client, not by the configuration
	ctx    context.Context
	stop   context.CancelFunc // the name is not to have a certificate any more
	tried  chan struct{}      // closed by tell
	tell   func()             // that there is a certificate, or the first try is over; again: nothing
	// Guarded by Manager.mu.
	cert *certificate // nil until there is one
	err  error        // of the last try
	next time.Time    // when it is tried again after err
}

// backoff is how long to wait after the failures-th failure in a row: doubling, and a fifth more or less, so that many
// names do not come back at once.
func backoff(failures int) time.Duration {
	d := retryMax
	if failures < 10 {
		d = min(d, retryMin<<max(failures-1, 0))
	}
	return jitter(d)
}

func jitter(d time.Duration) time.Duration { return d*4/5 + rand.N(d*2/5+1) }

// order is the place of name in the configuration; the others are behind.
func (a *ACME) order(name string) int {
	if i := slices.Index(a.Names, name); i >= 0 {
		return i
	}
	return len(a.Names)
}

// tend begins to see to name, if nobody does yet; nil after Close, and for one name on demand too many.
func (m *Manager) tend(name string, demand bool) *tended {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.managed[name]; t != nil || m.ctx.Err() != nil {
		return t
	}
	if demand && len(m.managed) >= maxOnDemand+len(m.o.ACME.Names) {
		return nil
	}
	t := &tended{name: name, demand: demand, tried: make(chan struct{})}
	t.tell = sync.OnceFunc(func() { close(t.tried) })
	t.ctx, t.stop = context.WithCancel(m.ctx)
	m.managed[name] = t
	m.spawn(name, func() { m.see(t) })
	return t
}

// see keeps one name's certificate good until Close, or until t.stop. A name on demand that could not be had is forgotten after a while,
// so that it is tried again only if it is asked for again.
func (m *Manager) see(t *tended) {
	// What is kept is served before anybody outside is asked: an authority that is away or slow holds nobody up.
	kept, err := m.work.load(t.ctx, t.name)
	if err == nil {
		m.set(t, kept)
		t.tell()
	}
	failures := 0
	for first := err != nil; ; first = false {
		has, err := m.try(t, failures)
		if t.ctx.Err() != nil {
			err = t.ctx.Err() // who waits is not to be told that there is none
		} else if err != nil {
			failures++
			m.log.Error("no new certificate; it is tried again", "name", t.name, "failures", failures, "error", err)
			m.observe(Event{Name: t.name, Source: FromACME, Err: err})
		} else {
			failures = 0
		}
		if first {
			t.tell()
		}
		wait := backoff(failures)
		if err == nil {
			wait = jitter(m.look(t))
		}
		m.mu.Lock()
		t.err, t.next = err, time.Now().Add(wait)
		m.mu.Unlock()
		select {
		case <-t.ctx.Done():
			t.stop()
			return
		case <-time.After(wait):
		}
		if t.demand && !has {
			m.mu.Lock()
			delete(m.managed, t.name)
			m.mu.Unlock()
			t.stop()
			return
		}
	}
}

// look is how long until t's certificate is looked at again: at least ten times in its life, however short that is.
func (m *Manager) look(t *tended) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.cert == nil {
		return m.o.ACME.Check
	}
	leaf := t.cert.tls.Leaf
	return min(m.o.ACME.Check, max(leaf.NotAfter.Sub(leaf.NotBefore)/10, time.Second))
}

// try brings t's certificate up to date once; has is whether there is any to serve afterwards.
func (m *Manager) try(t *tended, failures int) (has bool, err error) {
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-t.ctx.Done():
		return false, t.ctx.Err()
	}
	got, err := m.work.obtain(t.ctx, t.name, failures)
	return m.set(t, got), err
}

// set serves got, if it is any, from now on; has is whether there is any then.
func (m *Manager) set(t *tended, got *tls.Certificate) (has bool) {
	m.mu.Lock()
	was, is := t.cert, t.cert
	if got != nil {
		is = newCertificate(got, FromACME)
		t.cert = is
		m.publish()
	}
	m.mu.Unlock()
	if is != nil && (was == nil || !was.tls.Leaf.Equal(is.tls.Leaf)) {
		m.served(is)
	}
	return is != nil
}

// await is for a name that has no certificate: ours is whether it should have one from the authority. It is then waited
// for until the first try is over, and cert may still be nil.
func (m *Manager) await(ctx context.Context, name string) (cert *tls.Certificate, ours bool) {
	if m.o.ACME == nil || name == "" {
		return nil, false
	}
	m.mu.Lock()
	t := m.managed[name]
	m.mu.Unlock()
	if t == nil {
		if m.o.ACME.Allow == nil || !plausible().MatchString(name) || !certmagic.SubjectQualifiesForCert(name) {
			return nil, false
		}
		ctx, cancel := context.WithTimeout(ctx, handshakeWait)
		defer cancel()
		if m.o.ACME.Allow(ctx, name) != nil {
			return nil, false
		}
		if t = m.tend(name, true); t == nil {
			return nil, true
		}
	}
	timeout := time.NewTimer(handshakeWait)
	defer timeout.Stop()
	select {
	case <-t.tried:
	case <-ctx.Done():
	case <-t.ctx.Done():
	case <-timeout.C:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.cert == nil {
		return nil, true
	}
	return t.cert.tls, true
}
