package edge

import (
	"bytes"
	"math"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/variant"
)

// A fold is what is kept of a request that waits, of which there may be very many: all else is found again in its head.
type fold struct {
	course
	vary     *variant.Request // nil: it is part of no experiment
	begun    int64
	id, head []byte
}

// Fold implements front.Folder. A request of which an attempt has failed stays as it is.
func (s *session) Fold() bool {
	q := s.request
	if q.tries > 0 {
		return false
	}
	f := &fold{course: q.course, begun: q.begun, id: q.id, head: bytes.Clone(q.head)}
	if &q.id[0] == &q.given[0] {
		f.id = bytes.Clone(q.id)
	}
	if q.vary != (variant.Request{}) {
		vary := q.vary
		f.vary = &vary
	}
	f.seen.Fold(f.id)
	s.forget()
	s.fold = f
	return true
}

// unfold is the head of the request that was folded, which is in hand again; nil: none was.
func (s *session) unfold(x *front.Exchange) *http1.Request {
	f := s.fold
	if f == nil {
		return nil
	}
	s.fold = nil
	q := s.take()
	q.head = append(q.head[:0], f.head...)
	r := q.parse()
	s.ask(x, r)
	q.course, q.begun, q.id = f.course, f.begun, f.id
	if f.vary != nil {
		q.vary = *f.vary
	}
	q.seen.Unfold(r)
	x.Request = r
	return r
}

// asItCame are the limits of a head that was read before: there are none.
var asItCame = http1.Limits{Target: math.MaxInt32, Line: math.MaxInt32, Head: math.MaxInt32, Fields: math.MaxInt32}

// parse reads the head again.
func (q *request) parse() *http1.Request {
	if q.again == nil {
		q.again = new(http1.Request)
	}
	q.again.Reset()
	q.again.Parse(q.head, &asItCame) //nolint:errcheck // it was one
	return q.again
}
