package edge

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"runtime"
	"time"

	"semper"
	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/ledger"
	"semper/edge/metrics"
	"semper/edge/upstream"
	"semper/edge/witness"
)

// newWitness makes what sees the requests.
func (e *Edge) newWitness() (err error) {
	o := e.o.Witness
	o.Goroutines = min(runtime.GOMAXPROCS(0), 4)
	if o.Loops = 0; e.o.Driver != Goroutines {
		o.Loops = loopsOf(runtime.NumCPU())
	}
	if o.Report == nil {
		o.Report = e.log
	}
	o.Target = append([]metrics.Label{{Name: "service.name", Value: "semper-edge"}, {Name: "service.instance.id", Value: e.o.ID},
		{Name: "service.version", Value: semper.Version}}, o.Target...)
	if e.witness, err = witness.New(o); err != nil {
		return err
	}
	return e.witness.Register(metrics.LedgerFamily(func(yield func(string, semper.ReleaseName, semper.Ledger)) {
		for k, l := range e.books.Snapshot().Counts {
			yield(k.App, k.Release, l)
		}
	}))
}

// watchTraffic has the witness look every second until ctx ends.
func (e *Edge) watchTraffic(ctx context.Context) error {
	return e.witness.Watch(ctx, func() []*witness.Place { return e.snapshot().places })
}

// seenBy gives each route its pool with a place of its own, so that a request looks none up, and the pools theirs for what
// befalls no request.
func (s *snapshot) seenBy(w *witness.Witness) {
	for _, p := range s.pools {
		p.place = w.Place(keyOf(p.Pool))
		s.places = append(s.places, p.place)
	}
	for host, routes := range s.hosts {
		for i := range routes {
			r := &routes[i]
			if r.pool == nil {
				continue
			}
			k := keyOf(r.pool.Pool)
			k.Route = host + cmp.Or(r.path, "/")
			behind := *r.pool
			behind.place = w.Place(k)
			r.pool, s.places = &behind, append(s.places, behind.place)
		}
	}
}

func keyOf(p semper.Pool) metrics.Key {
	return metrics.Key{App: p.App, Release: string(p.Release), Pool: string(p.Key)}
}

// pass gives the request to the other way, where it is seen.
func (s *session) pass() front.Action {
	if s.looped {
		s.shard.Count(metrics.ConnHandedOver)
	}
	return front.Pass
}

// Refused implements front.Observer.
func (s *session) Refused(now int64, r *http1.Refusal) {
	s.shard.Refused(now, &s.client, r.Status, r.Word)
}

// mayRetry takes from the budget of retries.
func (l *lane) mayRetry(q *witness.Request) bool {
	if l.budget.take(time.Now(), l.requests.Load()) {
		return true
	}
	q.Count(metrics.RetryDenied)
	return false
}

func retryFor(connect bool) metrics.Event {
	if connect {
		return metrics.RetryConnect
	}
	return metrics.RetryReset
}

var failures = [...]metrics.Failure{
	front.ConnectFailed: metrics.FailConnect, front.Broken: metrics.FailReset, front.TimedOut: metrics.FailTimeout,
	front.Malformed: metrics.FailProtocol, front.WasCut: metrics.FailCanceled, front.ClientFault: metrics.FailCanceled,
}

// What the access log says of answers that did not end well, beside the words of refusals.
const (
	causeGone   = "client-gone"
	causeBroken = "broken-off"
)

// story is how the request ended, for the witness.
func (s *session) story(x *front.Exchange, how front.Outcome) witness.End {
	end := witness.End{Status: x.Status, Received: x.Received, Sent: x.Sent, Cause: s.cause}
	switch how {
	case front.Refused:
		count(s.seen, s.end)
	case front.ClientGone:
		end.Failure, end.Cause = metrics.FailCanceled, causeGone
	case front.BrokenOff:
		end.Failure, end.Cause = metrics.FailReset, causeBroken
	case front.CutOff:
		end.Failure, end.Cause = metrics.FailCanceled, refuseCut.word
		s.seen.Count(metrics.Cut)
	}
	return end
}

// count counts what is remarkable about an end.
func count(q *witness.Request, how ledger.End) {
	switch how {
	case ledger.Shed:
		q.Count(metrics.ShedHold)
	case ledger.Cut:
		q.Count(metrics.Cut)
	}
}

// see begins to see a request of net/http's.
func (e *Edge) see(r *http.Request) (*witness.Request, time.Time) {
	c := witness.Client{TLS: r.TLS != nil}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.Addr = at.Addr().Unmap().WithZone("")
		c.Trusted = e.trusts(c.Addr)
	}
	began := time.Now()
	return e.witness.Shard(0).BeginHTTP(began.UnixNano(), &c, r), began
}

// since is now by a clock that does not jump.
func since(began time.Time) int64 { return began.UnixNano() + int64(time.Since(began)) }

func (x *exchange) now() int64 { return since(x.begun) }

// end takes the books.
func (x *exchange) end(how ledger.End) {
	x.entry.End(how)
	x.how = how
}

// tell tells the witness how the request ended.
func (x *exchange) tell() {
	end := &x.ended
	end.Status = x.status
	end.Received = x.body.Received()
	switch x.how {
	case ledger.Gone:
		end.Failure = metrics.FailCanceled
		if x.r.Context().Err() != nil {
			end.Cause = causeGone
		}
		if end.Cause == causeGone && !x.headed {
			end.Status = 0 // nobody was there to get one
		}
	case ledger.Cut:
		end.Failure, end.Cause = metrics.FailCanceled, refuseCut.word
	case ledger.EdgeErrors:
		if end.Cause == "" {
			end.Failure, end.Cause = metrics.FailReset, causeBroken
		}
	}
	count(x.seen, x.how)
	x.seen.End(x.now(), *end)
}

// failureOf sorts what kept an attempt from an answer.
func (x *exchange) failureOf(ctx context.Context, err error) metrics.Failure {
	var e *upstream.Error
	var bad *http1.Error
	switch {
	case ctx.Err() != nil || x.body.Failure() != nil:
		return metrics.FailCanceled
	case errors.As(err, &bad):
		return metrics.FailProtocol
	case !errors.As(err, &e):
		return metrics.FailReset
	case e.Timeout():
		return metrics.FailTimeout
	case e.Op == upstream.Connect:
		return metrics.FailConnect
	}
	return metrics.FailReset
}

func connectFailed(err error) bool {
	var e *upstream.Error
	return errors.As(err, &e) && e.Op == upstream.Connect
}
