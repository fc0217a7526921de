package edge

import (
	"semper/edge/ledger"
	"semper/edge/local"
	"semper/edge/refusal"
	"semper/edge/route"
)

// retireSites closes the directories of s, which is not current any more, as soon as nobody uses them.
func (s *snapshot) retireSites(e *Edge) {
	for _, site := range s.sites {
		site.Users.Retire()
		e.retired = append(e.retired, site)
	}
}

// closeRetired closes directories that nobody uses any more. e.registry is held.
func (e *Edge) closeRetired() {
	left := e.retired[:0]
	for _, s := range e.retired {
		if !s.Users.Idle() {
			left = append(left, s)
			continue
		}
		if err := s.Close(); err != nil {
			e.log.Warn("a directory that is served no more is not closed", "error", err)
		}
	}
	clear(e.retired[len(left):])
	e.retired = left
}

// local answers by itself, as the request's rule says.
func (x *exchange) local() {
	q := local.Request{Rule: x.rule.Rule.Rule, Query: &x.query, ID: x.id, Site: x.rule.site}
	if _, ok := q.Rule.Action.(*route.Files); ok {
		if !x.edge.current.Claim(x.snap, &q.Site.Users) {
			x.fail(refusal.Changed, ledger.EdgeErrors)
			return
		}
		defer q.Site.Users.Release()
	}
	x.status, x.ended.Sent = local.Answer(x.w, x.r, q)
}
