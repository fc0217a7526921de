package edge

import (
	"context"
	"net/http"
	"time"

	"semper"
	"semper/autoscale/waking"
	"semper/edge/control"
	"semper/edge/mirror/told"
	"semper/edge/witness"
	"semper/experiment/design"
)

// Shadows are what copies of requests have shown.
func (e *Edge) Shadows() []told.Counts { return e.mirrors.Counts(time.Now()) }

// Control answers on the edge's own socket: what package control says, of which Done tells the end of a drain; and what it has
// seen, GET /v1/traffic, /v1/readings and /metrics: see [witness.Witness.Handle].
func (e *Edge) Control() http.Handler {
	m := http.NewServeMux()
	control.Edge{
		State: e.State, Wait: e.WaitEpoch, Drain: e.beginDrain, Ledger: func() map[Key]semper.Ledger { return e.books.Snapshot().Counts },
		Arms:      func() []semper.ArmCounts { return e.arms.Counts(time.Now()) },
		Shadows:   e.Shadows,
		Sleepers:  e.sleepers,
		Bell:      &e.bell,
		Exposures: func(after int64) design.Exposures { return e.exposures.After(e.o.ID, after) },
	}.Handle(m)
	e.witness.Handle(m)
	return m
}

// sleepers are the services that may sleep, with who has asked for them.
func (e *Edge) sleepers() map[semper.PoolKey]waking.Told {
	out := map[semper.PoolKey]waking.Told{}
	for key, p := range e.snapshot().pools {
		if p.sleeper != nil {
			out[key] = p.sleeper.Told(p.lane.Waiting())
		}
	}
	return out
}

// Witness is what has seen the edge's requests.
func (e *Edge) Witness() *witness.Witness { return e.witness }

// beginDrain begins a drain that nobody waits for.
func (e *Edge) beginDrain(limit time.Duration) {
	e.end.once.Do(func() {
		e.background.Drain(func(here context.Context) {
			ctx, cancel := context.WithTimeout(e.ctx, limit)
			defer cancel()
			e.drain(here, ctx)
		})
	})
}
