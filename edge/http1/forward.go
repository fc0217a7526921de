package http1

import "strconv"

// A Forward is what the edge says to an instance beside what the client said. Its zero value says nothing of the
// client, and trusts nobody. Every value in it must be one a field may have; paths come from CanonicalPath.
type Forward struct {
	Path     []byte // instead of the path as sent; without query
	NewQuery bool   // Query is sent instead of what was sent
	Query    []byte // without question mark; nil for none
	// Host is sent instead of what Request.Host is. That is empty where a client of HTTP/1.0 sent none, and goes on as it
	// is (RFC 9112, 3.2): a driver may know better.
	Host []byte

	Trusted       bool   // the peer may say who asked: its X-Forwarded-… and Forwarded go on
	Assigned      bool   // the request has its variants from this edge: Semper-Variant goes on
	ClientIP      []byte // X-Forwarded-For; behind what a trusted peer said
	Proto         string // X-Forwarded-Proto: http or https
	ForwardedHost []byte // X-Forwarded-Host; nil is the host as sent
	RequestID     []byte // X-Request-Id, see Request.RequestID
	Via           string // our name in Via; empty to say nothing (RFC 9110, 7.6.3)
	TraceParent   []byte // instead of the client's; nil leaves that
	TraceState    []byte // beside TraceParent

	Shadow  bool  // it is a copy, and marked as one; a client's own mark is never passed on
	Upgrade bool  // pass on the change of protocol that the request asks for
	Close   bool  // ask the instance to close after its answer
	Edit    *Edit // the route's own; nil for none
	// Extra are whole field lines, made by AppendField.
	Extra []byte
}

// AppendRequest appends the head that an instance gets for r. All that frames it is made from what Parse decided:
// nothing that frames, routes or attributes is copied. Other fields stay byte for byte and in their order, without
// those that are hop-by-hop, named by Connection, or aliases with underscores.
//
// What follows must be r's content as r.Framing frames it. Expect is never forwarded: the driver answers it.
func AppendRequest(dst []byte, r *Request, f *Forward) []byte {
	dst = appendLine(dst, r, f)
	dst = r.appendKept(dst, f.dropped(), f.Edit)
	dst = appendProvenance(dst, r, f)
	switch {
	case r.Framing.Kind == Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.Framing.Kind == Length:
		dst = appendLength(dst, r.Framing.Length)
	case r.Method == POST || r.Method == PUT || r.Method == PATCH: // which have content by their meaning (RFC 9110, 8.6)
		dst = append(dst, "Content-Length: 0\r\n"...)
	}
	up := r.UpgradeTo()
	switch {
	case f.Upgrade && up != nil:
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(dst, up...)
		dst = append(dst, "\r\n"...)
	case r.Trailers && f.Close:
		dst = append(dst, "Connection: close, TE\r\nTE: trailers\r\n"...)
	case r.Trailers:
		dst = append(dst, "Connection: TE\r\nTE: trailers\r\n"...)
	case f.Close:
		dst = append(dst, "Connection: close\r\n"...)
	}
	if f.Shadow {
		dst = append(dst, "Semper-Shadow: 1\r\n"...)
	}
	dst = append(dst, f.Extra...)
	if f.Edit != nil {
		dst = append(dst, f.Edit.lines...)
	}
	return append(dst, "\r\n"...)
}

// appendLine appends the request line and Host.
func appendLine(dst []byte, r *Request, f *Forward) []byte {
	path, query, hasQuery := f.Path, r.Query(), r.HasQuery
	if path == nil {
		path = r.Path()
	}
	if f.NewQuery {
		query, hasQuery = f.Query, f.Query != nil
	}
	host := f.Host
	if host == nil {
		host = r.Host()
	}
	dst = append(dst, r.MethodName()...)
	dst = append(dst, ' ')
	dst = append(dst, path...)
	if hasQuery {
		dst = append(dst, '?')
		dst = append(dst, query...)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	return append(dst, "\r\n"...)
}

// dropped are the kinds that are not copied.
func (f *Forward) dropped() kinds {
	drop := hopByHop | 1<<Host | 1<<ContentLength | 1<<Expect | 1<<XRequestID | 1<<SemperShadow
	if !f.Trusted {
		drop |= provenance
	}
	if !f.Assigned {
		drop |= assigned
	}
	if len(f.ClientIP) > 0 {
		drop |= 1 << XForwardedFor
	}
	if f.TraceParent != nil {
		drop |= 1<<TraceParent | 1<<TraceState
	}
	return drop
}

// appendKept copies fields but those that are dropped, as many at once as stand together.
func (h *head) appendKept(dst []byte, drop kinds, e *Edit) []byte {
	if len(h.fields) == 0 {
		return dst
	}
	run := h.fields[0].start // where what is kept and not yet copied begins
	for i := range h.fields {
		f := &h.fields[i]
		if drop.has(f.kind) || f.drop || e != nil && e.drops(h.bytes[f.start:f.name]) {
			dst = append(dst, h.bytes[run:f.start]...)
			run = f.end
		}
	}
	return append(dst, h.bytes[run:h.fields[len(h.fields)-1].end]...)
}

// appendProvenance appends who asked, and by which way.
func appendProvenance(dst []byte, r *Request, f *Forward) []byte {
	if len(f.ClientIP) > 0 {
		dst = append(dst, "X-Forwarded-For: "...)
		if f.Trusted && r.has.has(XForwardedFor) {
			for i := int(r.first[XForwardedFor]); i < len(r.fields); i++ {
				if v := &r.fields[i]; v.kind == XForwardedFor && !v.drop && v.to > v.from {
					dst = append(dst, r.value(v)...)
					dst = append(dst, ", "...)
				}
			}
		}
		dst = append(dst, f.ClientIP...)
		dst = append(dst, "\r\n"...)
	}
	if !f.Trusted || !r.has.has(XForwardedHost) {
		host := f.ForwardedHost
		if host == nil {
			host = r.Host()
		}
		dst = appendField(dst, "X-Forwarded-Host: ", host)
	}
	if f.Proto != "" && (!f.Trusted || !r.has.has(XForwardedProto)) {
		dst = append(dst, "X-Forwarded-Proto: "...)
		dst = append(dst, f.Proto...)
		dst = append(dst, "\r\n"...)
	}
	dst = appendField(dst, "X-Request-Id: ", f.RequestID)
	if f.TraceParent != nil {
		dst = appendField(dst, "traceparent: ", f.TraceParent)
		dst = appendField(dst, "tracestate: ", f.TraceState)
	}
	return appendVia(dst, r.Minor, f.Via)
}

// appendField appends a line, unless the value is empty. name ends with colon and space.
func appendField(dst []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// appendVia says that a message of HTTP/1.minor was received by whoever via names.
func appendVia(dst []byte, minor uint8, via string) []byte {
	if via == "" {
		return dst
	}
	dst = append(dst, "Via: 1."...)
	dst = append(dst, '0'+minor, ' ')
	dst = append(dst, via...)
	return append(dst, "\r\n"...)
}

func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}
