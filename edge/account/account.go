// Package account gives an account of how a request ended: to the books, and to the witness.
//
// # Problem
//
// The two ways that requests take through the edge end in words of their own: an exchange of a driver with an outcome, one of net/http
// with an end. The ledger, the metrics and the access log must tell the same of both.
//
// # Invariants
//
//   - Every end is exactly one of the ledger's.
//   - What was cut, and what was shed for the sake of the rest, is an event besides, counted once.
//
// # What it will not do
//
// It decides nothing: who refuses a request says so himself.
package account

import (
	"semper/edge/front"
	"semper/edge/ledger"
	"semper/edge/metrics"
	"semper/edge/refusal"
	"semper/edge/witness"
)

// What the access log says of answers that did not end well, beside the words of refusals.
const (
	Gone   = "client-gone"
	Broken = "broken-off"
)

// Failures are those of a driver's attempts, as metrics have them.
var Failures = [...]metrics.Failure{
	front.ConnectFailed: metrics.FailConnect, front.Broken: metrics.FailReset, front.TimedOut: metrics.FailTimeout,
	front.Malformed: metrics.FailProtocol, front.WasCut: metrics.FailCanceled, front.ClientFault: metrics.FailCanceled,
}

// shedBy are the events of refusals that protect the rest, by their words.
var shedBy = map[string]metrics.Event{
	refusal.Rate.Word: metrics.ShedRate, refusal.Busy.Word: metrics.ShedQueue,
	refusal.HoldRequests.Word: metrics.ShedHoldRequests, refusal.HoldBytes.Word: metrics.ShedHoldBytes, refusal.HoldAge.Word: metrics.ShedHoldAge,
}

// End is how an exchange ended, for the books; refused is what a refusal of it is.
func End(status int, how front.Outcome, refused ledger.End) ledger.End {
	switch {
	case how == front.Answered && status >= 500:
		return ledger.AppErrors
	case how == front.Answered:
		return ledger.Served
	case how == front.Refused:
		return refused
	case how == front.ClientGone:
		return ledger.Gone
	case how == front.CutOff:
		return ledger.Cut
	}
	return ledger.EdgeErrors
}

// Exchange is how an exchange of q ended, for the witness; refused and word are of a refusal.
func Exchange(q *witness.Request, x *front.Exchange, how front.Outcome, refused ledger.End, word string) witness.End {
	end := witness.End{Status: x.Status, Received: x.Received, Sent: x.Sent}
	switch how {
	case front.Refused:
		end.Cause = word
		count(q, refused, word)
	case front.ClientGone:
		end.Failure, end.Cause = metrics.FailCanceled, Gone
	case front.BrokenOff:
		end.Failure, end.Cause = metrics.FailReset, Broken
	case front.CutOff:
		end.Failure, end.Cause = metrics.FailCanceled, refusal.Cut.Word
		q.Count(metrics.Cut)
	}
	return end
}

// Of is end with what the books say of it.
func Of(q *witness.Request, how ledger.End, end witness.End) witness.End {
	switch how {
	case ledger.Gone:
		end.Failure = metrics.FailCanceled
	case ledger.Cut:
		end.Failure, end.Cause = metrics.FailCanceled, refusal.Cut.Word
	case ledger.EdgeErrors:
		if end.Cause == "" {
			end.Failure, end.Cause = metrics.FailReset, Broken
		}
	}
	count(q, how, end.Cause)
	return end
}

// count counts what is remarkable about an end; word is that of the refusal.
func count(q *witness.Request, how ledger.End, word string) {
	if how == ledger.Cut {
		q.Count(metrics.Cut)
	} else if e, ok := shedBy[word]; ok && how == ledger.Shed {
		q.Count(e)
	}
}
