package route

import "net/netip"

// A Query is what a request is looked up by. Its slices are read during Match and not kept, so they may lie in the buffer
// that the request was read into. One Query serves request after request of one goroutine; the zero value is ready.
type Query struct {
	Method []byte
	Host   []byte // without port; in any case, with or without a dot at its end
	Path   []byte // canonical and percent-encoded, as it will be forwarded; what does not begin with a slash ("*") has no path
	Query  []byte // without the question mark, as it was sent
	TLS    bool
	Client netip.Addr // who asks, by the first address that is to be believed
	Fields Reader     // nil: there are none

	scratch []byte // for what has to be decoded before it is compared
}

// A Reader looks up header fields. It is called with names in the form "X-Canary" and compares them without case.
type Reader interface {
	// Value is what the i-th line (from 0) of that name holds, without space around it. ok is false when there are no
	// more than i. The bytes are not changed, and not kept beyond the call of Match.
	Value(name string, i int) (value []byte, ok bool)
}

// field is the first value of a field.
func (q *Query) field(name string) (value []byte, ok bool) {
	if q.Fields == nil {
		return nil, false
	}
	return q.Fields.Value(name, 0)
}

// Cookie is the first value of a cookie; ok is false when there is none. The bytes are the request's.
func (q *Query) Cookie(name string) (value []byte, ok bool) { return q.cookie(name) }

// cookie is the first value of a cookie (RFC 6265, 5.4).
func (q *Query) cookie(name string) (value []byte, ok bool) {
	for c := q.cookies(); ; {
		n, v, more := c.next()
		if !more {
			return nil, false
		}
		if string(n) == name {
			return v, true
		}
	}
}

// parameter is the first value of a parameter of the query, decoded. It is valid until the next call on q.
func (q *Query) parameter(name string) (value []byte, ok bool) {
	for rest := q.Query; rest != nil; {
		var n, v []byte
		n, v, rest = nextParameter(rest)
		if string(q.decode(n)) == name {
			return q.decode(v), true
		}
	}
	return nil, false
}
