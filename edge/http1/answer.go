package http1

import "strconv"

// An Answer is what the edge says to a client beside what an instance said. Every value in it must be one a field may
// have.
type Answer struct {
	Method Method // of the request
	Minor  uint8  // of the request's version
	Close  bool   // the connection takes no further request, for a reason the response does not know

	Date      []byte // for a response without one (RFC 9110, 6.6.1); made by AppendDate
	Release   []byte // X-Semper-Release
	RequestID []byte // X-Request-Id
	Via       string // our name in Via; empty to say nothing
	Edit      *Edit  // the route's own; nil for none
	// Extra are whole field lines, made by AppendField.
	Extra []byte
}

// Framing is how the content of r goes to the client, and whether the connection ends after it. A client of HTTP/1.1
// gets chunks where the instance's connection marks the end; one of HTTP/1.0 has no chunks, and gets the end of the
// connection.
func (a *Answer) Framing(r *Response) (f Framing, closes bool) {
	f, closes = r.Framing, a.Close || a.Minor == 0
	if f.Kind == Chunked || f.Kind == UntilClose {
		f.Kind = Chunked
		if a.Minor == 0 {
			f.Kind = UntilClose
		}
	}
	return f, closes
}

// AppendResponse appends the head that a client gets for r. All that frames it is made from what Parse decided. Other
// fields stay byte for byte and in their order, without those that are hop-by-hop or named by Connection.
//
// What follows must be r's content as a.Framing frames it; after 101 the protocol that was asked for. An informational
// response must not go to a client of HTTP/1.0.
func AppendResponse(dst []byte, r *Response, a *Answer) []byte {
	out, closes := a.Framing(r)
	dst = append(dst, "HTTP/1.1"...)
	if len(r.bytes) > statusLen && r.bytes[statusLen] == ' ' {
		dst = append(dst, r.bytes[len("HTTP/1.1"):r.reasonEnd()]...)
	} else {
		dst = append(dst, r.bytes[len("HTTP/1.1"):statusLen]...)
		dst = append(dst, " \r\n"...)
	}
	dst = r.appendKept(dst, a.dropped(out.Kind), a.Edit)
	switch {
	case r.Status == 101:
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(dst, r.Get(Upgrade)...)
		dst = append(dst, "\r\n"...)
	case r.Status < 200:
		return append(dst, "\r\n"...)
	case out.Kind == Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case out.Kind == Length:
		dst = appendLength(dst, out.Length)
	case r.Declared >= 0:
		dst = appendLength(dst, r.Declared)
	}
	if closes && r.Status != 101 {
		dst = append(dst, "Connection: close\r\n"...)
	}
	if !r.has.has(Date) {
		dst = appendField(dst, "Date: ", a.Date)
	}
	dst = appendField(dst, "X-Semper-Release: ", a.Release)
	dst = appendField(dst, "X-Request-Id: ", a.RequestID)
	dst = appendVia(dst, r.Minor, a.Via)
	dst = append(dst, a.Extra...)
	if a.Edit != nil {
		dst = append(dst, a.Edit.lines...)
	}
	return append(dst, "\r\n"...)
}

// dropped are the kinds that are not copied.
func (a *Answer) dropped(out FramingKind) kinds {
	drop := hopByHop | 1<<ContentLength | 1<<SemperError
	if out == Chunked {
		drop &^= 1 << Trailer // it announces what comes behind the last chunk
	}
	if len(a.RequestID) > 0 {
		drop |= 1 << XRequestID
	}
	if len(a.Release) > 0 {
		drop |= 1 << SemperRelease
	}
	return drop
}

// reasonEnd is behind the status line's CR LF.
func (r *Response) reasonEnd() int {
	if len(r.fields) > 0 {
		return int(r.fields[0].start)
	}
	return len(r.bytes) - 2
}

// AppendStatus appends a status line with the status' own reason.
func AppendStatus(dst []byte, status int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, StatusText(status)...)
	return append(dst, "\r\n"...)
}

// AppendFraming appends the fields that frame content, for heads that a driver puts together itself. Neither NoBody nor
// UntilClose has any.
func AppendFraming(dst []byte, f Framing) []byte {
	switch f.Kind {
	case Length:
		return appendLength(dst, f.Length)
	case Chunked:
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	return dst
}

// AppendField appends a field line. ok is false, and nothing appended, when no field can have that name or value. It
// takes the names that frame a message too: see AppendFraming.
func AppendField(dst []byte, name, value string) (out []byte, ok bool) {
	if !validField(name, value) {
		return dst, false
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...), true
}

// AppendLine appends the line of a field whose value the given function appends; nothing where that appends nothing. What it
// appends must be a value.
func AppendLine(dst []byte, name string, value func(to []byte) []byte) []byte {
	before := len(dst)
	dst = append(append(dst, name...), ": "...)
	from := len(dst)
	if dst = value(dst); len(dst) == from {
		return dst[:before]
	}
	return append(dst, "\r\n"...)
}

func validField(name, value string) bool {
	for i := range len(name) {
		if class[name[i]]&isToken == 0 {
			return false
		}
	}
	for i := range len(value) {
		if class[value[i]]&isValue == 0 {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}
