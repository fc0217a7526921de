package edge

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"

	"semper"
	"semper/edge/balance"
	"semper/edge/dial"
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

// sender sends copies to the pool k. Each is claimed as a request is: who drains an instance waits for it or cuts it, and a hold keeps it out.
func (e *Edge) sender(k semper.PoolKey) mirror.Sender {
	return func(r *http.Request) (*http.Response, func() bool, error) {
		for {
			s := e.snapshot()
			p := s.pools[k]
			if p == nil || p.held.Holds(true, e.now()) {
				return nil, nil, mirror.ErrNobody
			}
			picked, v := p.ready.Pick(balance.Query{Now: e.now(), Random: rand.Uint64()})
			if v != balance.Picked {
				return nil, nil, mirror.ErrNobody
			}
			if !e.current.Claim(s, &picked.InFlight) {
				continue
			}
			ctx, cancel := context.WithCancelCause(r.Context())
			a := &attempt{backend: p.of(picked), cancel: cancel}
			a.backend.begin(a)
			resp, err := a.backend.pool.RoundTrip(r.WithContext(ctx))
			if dial.Exhausted(err) { // of this process
				err = mirror.ErrNobody
			}
			return resp, func() bool {
				cut := errors.Is(context.Cause(ctx), errCut)
				a.backend.drop(a.backend.end(a))
				return cut
			}, err
		}
	}
}
