package edge

import (
	"net/http"

	"semper/edge/account"
	"semper/edge/front"
	"semper/edge/ledger"
	"semper/edge/route"
	"semper/edge/witness"
)

// hand gives the request in hand, which has waited or has failed, to net/http's way: its rule is for that one now. It goes on
// there with all that it has, which is why q is not used again. Whatever the rule became: that a driver could carry it without
// what the rule wants, as hedging or compression, is no reason to.
func (s *session) hand(x *front.Exchange) front.Action {
	q := s.request
	s.request = nil
	q.copied.End(false) // it is of the rule before
	q.seen, q.copied = q.seen.Share(), nil
	x.Handover = &front.Handover{Head: q.head, Story: q}
	return s.pass()
}

// Lost implements front.Story.
func (q *request) Lost() {
	how := ledger.Gone
	select {
	case <-q.edge.end.cut:
		how = ledger.Cut
	default:
	}
	q.leave()
	q.arm.End(how, account.Gone, q.edge.tell(q.seen, how, witness.End{Cause: account.Gone}))
	q.entry.End(how)
}

// inherit is x as it was handed over with w; nil: it begins here.
func (x *exchange) inherit(w http.ResponseWriter) {
	h, ok := w.(front.Heir)
	if !ok {
		return
	}
	q, ok := h.Inherit().(*request)
	if !ok {
		return
	}
	x.asking, x.id, x.began = q.asking, string(q.id), q.begun
	x.query, x.driven = route.Query{}, nil
}

// depart takes the request away from the pool that it may have waited for: its rule answers it.
func (a *asking) depart() {
	a.leaveGate()
	a.entry.Accept(nil)
	a.seen.Enter(nil)
	a.arm.Enter(nil, 0)
}
