package edge

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync/atomic"

	"semper"
	"semper/edge/balance"
	"semper/edge/dial"
	"semper/edge/front"
	"semper/edge/mirror"
)

// shadow has the request copied, if it is one of those, beside its first try.
func (x *exchange) shadow() {
	p := &x.rule.Policy
	x.copied = x.target.pool.mirror.HTTP(mirror.Request{
		Request: x.r, Host: p.Rewrite.Host, Path: x.query.Path, Content: x.body, Upgrade: x.upgrade != "", Which: p.Shadow,
	})
	x.copied.Send()
}

// sender sends copies to the pool k.
func (e *Edge) sender(k semper.PoolKey) mirror.Sender {
	return mirror.Sender{
		Trip:  func(r *http.Request) (*http.Response, func(error) bool, error) { return e.tripCopy(k, r) },
		Claim: func(cut func()) (*front.Target, func(error) bool, error) { return e.claimCopy(k, cut) },
	}
}

// copyTo claims a backend of k for a copy as a request does: who drains an instance waits for it or cuts it, and a hold keeps it out.
func (e *Edge) copyTo(k semper.PoolKey, driven bool) (*backend, error) {
	for {
		s := e.snapshot()
		p := s.pools[k]
		switch {
		case p == nil || p.held.Holds(true, e.now()):
			return nil, mirror.ErrNobody
		case driven && p.foreign:
			return nil, mirror.ErrForeign
		}
		picked, v := p.ready.Pick(balance.Query{Now: e.now(), Random: rand.Uint64()})
		if v != balance.Picked {
			return nil, mirror.ErrNobody
		}
		if e.current.Claim(s, &picked.InFlight) {
			return p.of(picked), nil
		}
	}
}

func (e *Edge) tripCopy(k semper.PoolKey, r *http.Request) (*http.Response, func(error) bool, error) {
	b, err := e.copyTo(k, false)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	a := &attempt{backend: b, cancel: cancel}
	b.begin(a)
	resp, err := b.pool.RoundTrip(r.WithContext(ctx))
	return resp, func(err error) bool {
		cut := errors.Is(context.Cause(ctx), errCut)
		b.drop(b.end(a))
		return cut || dial.Exhausted(err)
	}, err
}

func (e *Edge) claimCopy(k semper.PoolKey, cut func()) (*front.Target, func(error) bool, error) {
	b, err := e.copyTo(k, true)
	if err != nil {
		return nil, nil, err
	}
	var was atomic.Bool
	a := &attempt{backend: b, cancel: func(why error) {
		if why != nil {
			was.Store(true)
			cut()
		}
	}}
	b.begin(a)
	return b.target, func(err error) bool {
		b.drop(b.end(a))
		return was.Load() || dial.Exhausted(err)
	}, nil
}
