package edge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"semper/edge/config"
	"semper/edge/flight"
	"semper/edge/ledger"
	"semper/edge/local"
	"semper/edge/message"
	"semper/edge/onward"
	"semper/edge/route"
)

// deliver passes the backend's answer on as it comes.
func (x *exchange) deliver(ctx context.Context, a *attempt, resp *http.Response) {
	defer resp.Body.Close() //nolint:errcheck // read to its end, or not wanted any more
	stream := message.EventStream(resp.Header)
	silence := x.rule.Bounds.Stall
	if stream {
		a.backend.become(a, flight.Stream, nil)
		silence = x.rule.Policy.Timeouts.Stream
		if age := x.rule.Policy.MaxStreamAge; age > 0 {
			defer time.AfterFunc(config.Spread(age), func() { a.cancel(errCut) }).Stop()
		}
	}
	x.head(resp, a.backend)
	flush := http.NewResponseController(x.w)
	if resp.ContentLength < 0 && x.r.Method != http.MethodHead {
		flush.Flush() //nolint:errcheck // the write after it tells
	}
	var quiet *time.Timer
	if silence > 0 {
		quiet = time.AfterFunc(silence, func() { a.cancel(errLate) })
		defer quiet.Stop()
	}
	o := onward.Options{Quiet: quiet, Silence: silence, Tee: x.copied, Sent: &x.ended.Sent}
	if x.r.ProtoMajor == 1 {
		o.Write = x.rule.Bounds.Write
	}
	err := onward.Copy(x.w, flush, resp, o)
	x.copied.TrailerHTTP(resp.Trailer)
	for k, v := range resp.Trailer {
		if message.TrailerAllowed(k) {
			x.w.Header()[http.TrailerPrefix+k] = v
		}
	}
	switch {
	case err == nil && resp.StatusCode >= http.StatusInternalServerError:
		x.done(ledger.AppErrors)
	case err == nil:
		x.done(ledger.Served)
	case errors.Is(context.Cause(ctx), errCut), stream && errors.Is(context.Cause(ctx), errLate):
		x.done(ledger.Cut)
		x.broken = !stream || resp.ContentLength >= 0 // an event stream may end at any time: its client comes back
	case x.r.Context().Err() != nil || errors.Is(err, onward.ErrDownstream):
		x.done(ledger.Gone)
		x.broken = true
	default:
		x.done(ledger.EdgeErrors)
		x.broken = true
	}
}

// head begins the answer.
func (x *exchange) head(resp *http.Response, b *backend) {
	x.status, x.headed = resp.StatusCode, true
	h := x.w.Header()
	if x.r.ProtoMajor == 1 && x.edge.draining.Load() {
		h["Connection"] = []string{"close"}
	}
	closing := h["Connection"] // ours, not the backend's
	message.RemoveHopByHop(resp.Header)
	delete(resp.Header, message.ErrorWord)
	x.copied.HeadHTTP(resp.StatusCode, resp.Header, message.EventStream(resp.Header))
	for k, v := range resp.Header {
		h[k] = v
	}
	if closing != nil {
		h["Connection"] = closing
	}
	message.Stamp(h, x.release, x.id)
	x.seen.TimingHTTP(h, x.edge.now())
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // else net/http would guess one
	}
	for k := range resp.Trailer {
		if message.TrailerAllowed(k) {
			h.Add("Trailer", k)
		}
	}
	message.Edit(h, x.rule.Policy.Headers.Response)
	for _, c := range [][]byte{x.arm.AppendCookie(nil, x.query.TLS), x.cookie(nil, b, x.query.TLS)} {
		if len(c) > 0 {
			h.Add("Set-Cookie", string(c))
		}
	}
	x.w.WriteHeader(resp.StatusCode)
}

// local answers by itself, as the request's rule says. Where a directory is not that of the rule any more, it says what becomes
// of the request by the rule of now. done says that it has its answer.
func (x *exchange) local() (next decision, done bool) {
	q := local.Request{Rule: x.rule.Rule.Rule, Query: &x.query, ID: x.id, Site: x.rule.site}
	if _, ok := q.Rule.Action.(*route.Files); ok {
		if !x.edge.current.Claim(x.snap, &q.Site.Users) {
			now := x.edge.now()
			if next = x.turnTo(x.edge.snapshot(), now); next == given {
				next = x.claim(now)
			}
			return next, false
		}
		defer q.Site.Users.Release()
	}
	x.depart()
	x.status, x.ended.Sent = local.Answer(x.w, x.r, q)
	return refused, true
}
