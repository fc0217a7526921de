package edge

import (
	"context"
	"runtime"
	"time"

	"semper"
	"semper/edge/account"
	"semper/edge/arms"
	"semper/edge/config"
	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/ledger"
	"semper/edge/metrics"
	"semper/edge/mirror"
	"semper/edge/route"
	"semper/edge/witness"
)

// newWitness makes what sees the requests.
func (e *Edge) newWitness() (err error) {
	o := e.o.Witness
	o.Goroutines = min(runtime.GOMAXPROCS(0), 4)
	if o.Loops = 0; e.o.Driver != Goroutines {
		o.Loops = runtime.NumCPU()
	}
	if o.Report == nil {
		o.Report = e.log
	}
	o.Target = append([]metrics.Label{{Name: "service.name", Value: "semper-edge"}, {Name: "service.instance.id", Value: e.o.ID},
		{Name: "service.version", Value: semper.Version}}, o.Target...)
	if e.witness, err = witness.New(o); err != nil {
		return err
	}
	e.arms, e.mirrors = arms.NewTallies(e.o.ID, e.origin, o.Loops+o.Goroutines), mirror.New(e.o.ID, e.origin)
	return e.witness.Register(append(e.mirrors.Families(), arms.WeightFamily(func(yield func(metrics.Key, float64)) {
		for _, p := range e.snapshot().pools {
			if p.tabled {
				yield(arms.SeriesOf(&p.Pool), p.arms.Share)
			}
		}
	}), metrics.LedgerFamily(func(yield func(string, semper.ReleaseName, semper.Ledger)) {
		for k, l := range e.books.Snapshot().Counts {
			yield(k.App, k.Release, l)
		}
	}))...)
}

// watchTraffic has the witness look every second until ctx ends.
func (e *Edge) watchTraffic(ctx context.Context) error {
	return e.witness.Watch(ctx, func() []*witness.Place { return e.snapshot().places })
}

// place is where requests by r to the pool of k are counted. Each pool has one besides, for what befalls no request.
func (s *snapshot) place(w *witness.Witness, k metrics.Key, r *route.Rule) *witness.Place {
	own := w.Place(k)
	k.Route = config.RouteName(r)
	place := w.Place(k)
	s.places = append(s.places, own, place)
	return place
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

// done takes the books.
func (x *exchange) done(how ledger.End) {
	x.entry.End(how)
	x.how = how
	x.copied.End(how == ledger.Served || how == ledger.AppErrors)
}

// tell tells the witness how the request ended, unless it goes on without x.
func (x *exchange) tell() {
	if x.switched { // its protocol has no answers to be counted
		x.arm.End(ledger.Served, "", time.Duration(x.edge.now()-x.began))
		return
	}
	end := &x.ended
	end.Status, end.Received = x.status, x.body.Received()
	if x.how == ledger.Gone && x.r.Context().Err() != nil {
		end.Cause = account.Gone
		if !x.headed {
			end.Status = 0 // nobody was there to get one
		}
	}
	x.arm.End(x.how, end.Cause, x.edge.tell(x.seen, x.how, *end))
}

// tell is how long the request took.
func (e *Edge) tell(q *witness.Request, how ledger.End, end witness.End) time.Duration {
	return q.End(e.now(), account.Of(q, how, end))
}
