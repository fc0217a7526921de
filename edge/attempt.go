package edge

import (
	"context"
	"log/slog"

	"semper/edge/account"
	"semper/edge/balance/admit"
	"semper/edge/front"
	"semper/edge/ledger"
	"semper/edge/metrics"
	"semper/edge/refusal"
)

// A failure is an attempt that brought no response.
type failure struct {
	kind       front.FailureKind
	unsent     bool
	replayable bool
	reused     bool // the connection had carried a request before
	stale      bool // of a connection that had been idle, and that the backend closed
	err        error
}

// failed decides about it. The claim has been given back.
func (a *asking) failed(f failure, b *backend, now int64) decision {
	if f.own() {
		a.seen.Count(metrics.ShedDescriptors)
		a.seen.Fail(now, account.Failures[f.kind], f.reused)
		return a.refuse(refusal.Descriptors, ledger.Shed)
	}
	b.failed(now, &f)
	if f.blames() {
		a.arm.Fail()
	}
	a.tries++
	a.seen.Fail(now, account.Failures[f.kind], f.reused)
	if a.edge.log.Enabled(context.Background(), slog.LevelDebug) {
		a.edge.log.Debug("request failed", "instance", b.id, "unsent", f.unsent, "error", f.err)
	}
	try := admit.Attempt{Idempotent: a.idempotent, Sent: !f.unsent, Replayable: f.replayable, Reused: f.stale, Answered: f.kind == front.Malformed}
	again := a.tries < a.rule.Tries && (a.rule.Retries(f.kind) || f.unsent && a.rule.Connect)
	switch {
	case f.kind == front.WasCut:
		return a.refuse(refusal.Cut, ledger.Cut)
	case f.kind == front.ClientFault:
		return a.refuse(refusal.Body, ledger.Gone)
	case again && a.affords(try.Retry(), now):
		a.seen.Count(metrics.RetryFor(f.kind == front.ConnectFailed))
		return a.again(b, now)
	case f.unsent:
		return a.refuse(refusal.Connect, ledger.EdgeErrors)
	case f.kind == front.Malformed:
		return a.refuse(refusal.Transport, ledger.EdgeErrors)
	case f.kind == front.TimedOut:
		return a.refuse(refusal.Timeout, ledger.EdgeErrors)
	}
	return a.refuse(refusal.Broken, ledger.EdgeErrors)
}

// affords reports whether the request may be tried once more.
func (a *asking) affords(r admit.Retry, now int64) bool {
	if r != admit.Budgeted {
		return r == admit.Free
	}
	ok := a.target.pool.lane.budget.Retry(now, a.rule.Budget)
	if !ok {
		a.seen.Count(metrics.RetryDenied)
	}
	return ok
}

// again tries another backend than b.
func (a *asking) again(b *backend, now int64) decision {
	a.entry.Retry()
	a.avoid.Add(b.balance)
	if a.stable != nil && a.tries >= min(len(a.target.pool.backends), a.rule.Tries-1) { // each of the arm's was asked, or the last try is next
		a.fall()
	}
	return a.claim(now)
}
