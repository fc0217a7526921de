package http1

import "encoding/binary"

// An Asked is what a response answers: it decides how the response is framed.
type Asked struct {
	Method  Method
	Upgrade []byte // the protocol that was asked for with the request as it was forwarded; nil for none
}

// A Response is the head of a response. What is said of Request about reuse and slices holds for it too.
//
// The fields are settled once Parse has returned a length.
type Response struct {
	head

	Status    int
	Minor     uint8 // of the version: 0 or 1
	Framing   Framing
	KeepAlive bool // the connection may take another request after the content
	// Declared is Content-Length where there is no content to count: in answers to HEAD, and in 304. Negative for none.
	Declared int64

	state uint8
}

// The stages of Parse.
const (
	atStatus uint8 = iota
	atReason
	atResponseFields
	atResponseEnd
)

// Reset makes r ready for the next response.
func (r *Response) Reset() {
	r.reset()
	r.Status, r.Minor, r.Framing, r.KeepAlive, r.Declared, r.state = 0, 0, Framing{}, false, 0, atStatus
}

// Parse reads a head from the beginning of buf, as Request.Parse does. It takes informational responses too: after one
// of them, but 101, the next head follows, and r is Reset for it. lim's Target and Body mean nothing here; the whole
// line of the status is bounded by Line.
//
// An error is always an *Error of status 502, and final until Reset.
func (r *Response) Parse(buf []byte, lim *Limits, asked Asked) (n int, err error) {
	n, d := r.parse(buf, lim, asked)
	if d != fine {
		return 0, responseErrors[d]
	}
	return n, nil
}

func (r *Response) parse(buf []byte, lim *Limits, asked Asked) (n int, d defect) {
	if r.state < atResponseFields {
		if d = r.statusLine(buf, lim); d != fine || r.state < atResponseFields {
			return 0, d
		}
	}
	if r.state == atResponseFields {
		if n, d = r.scan(buf, lim); n == 0 || d != fine {
			return 0, d
		}
		r.state = atResponseEnd
		r.bytes = buf[:n:n]
		if d = r.settle(asked); d != fine {
			r.bytes = nil
			return 0, d
		}
	}
	return n, fine
}

// statusLen is the length of "HTTP/1.1 200", to which a reason may be added.
const statusLen = len("HTTP/1.1 200")

func (r *Response) statusLine(buf []byte, lim *Limits) (d defect) {
	line := buf[:min(len(buf), lim.Line, lim.Head)]
	if r.state == atStatus {
		if d = r.readStatus(line); d != fine {
			return d
		}
		if len(line) < statusLen {
			return r.outcome(line, lim, fine)
		}
		r.seen, r.state = statusLen, atReason
	}
	i := r.seen
	switch {
	case i == statusLen && i == len(line):
		return r.outcome(line, lim, fine)
	case i == statusLen && line[i] != ' ' && line[i] != '\r': // apps leave the last space away; it says nothing
		return badStatusLine
	}
	i = skipValue(line, i)
	r.seen = i
	switch {
	case i+1 >= len(line) && (i == len(line) || line[i] == '\r'):
		return r.outcome(line, lim, fine)
	case line[i] != '\r' || line[i+1] != '\n':
		return badEnd(line[i])
	}
	r.start, r.seen, r.state = i+2, i+2, atResponseFields
	return fine
}

// readStatus reads "HTTP/1.1 200", or as much of it as is there.
func (r *Response) readStatus(line []byte) defect {
	const form = "HTTP/d.d ddd"
	if len(line) < statusLen || binary.LittleEndian.Uint64(line) != http11 {
		for i, c := range line[:min(len(line), 9)] {
			if c != form[i] && (form[i] != 'd' || c < '0' || c > '9') {
				return badStatusLine
			}
			if i == 5 && c != '1' || i == 7 && c > '1' {
				return otherVersion
			}
		}
	}
	status := 0
	for i := 8; i < min(len(line), statusLen); i++ {
		c := line[i]
		switch {
		case i == 8 && c != ' ', i > 8 && (c < '0' || c > '9'):
			return badStatusLine
		case i == 9 && (c < '1' || c > '5'):
			return badStatus
		case i > 8:
			status = status*10 + int(c-'0')
		}
	}
	if len(line) >= statusLen {
		r.Status, r.Minor = status, line[7]-'0'
	}
	return fine
}

// settle decides what the fields of a whole head mean.
func (r *Response) settle(asked Asked) (d defect) {
	var o options
	if r.has.has(Connection) {
		if o, d = r.connection(); d != fine {
			return d
		}
	}
	r.Declared = -1
	f, d := r.declared()
	switch {
	case d != fine:
		return d
	case f.Kind == Chunked && r.Minor == 0:
		return coding10
	case r.Status == 101:
		return r.settleSwitch(asked, o)
	case asked.Method == HEAD || r.Status == 304:
		if f.Kind == Length {
			r.Declared = f.Length
		}
		f = Framing{}
	case r.Status < 200 || r.Status == 204:
		f = Framing{}
	case f.Kind == NoBody:
		f.Kind = UntilClose
	}
	r.Framing = f
	r.KeepAlive = r.Minor == 1 && !o.close && f.Kind != UntilClose
	return fine
}

// settleSwitch: a tunnel opens only to what was asked for.
func (r *Response) settleSwitch(asked Asked, o options) defect {
	switch {
	case len(asked.Upgrade) == 0:
		return unaskedSwitch
	case !o.upgrade || r.Minor == 0 || r.twice.has(Upgrade) || !sameToken(r.Get(Upgrade), asked.Upgrade):
		return otherSwitch
	}
	return fine
}

// Informational reports whether another response to the same request follows this one.
func (r *Response) Informational() bool { return r.Status < 200 && r.Status != 101 }

// Reason is what follows the status; it may be empty.
func (r *Response) Reason() []byte {
	if reason := r.bytes[statusLen : r.reasonEnd()-2]; len(reason) > 0 {
		return reason[1:]
	}
	return nil
}

// EventStream reports whether the content is one of server-sent events: a stream that is passed on as it comes.
func (r *Response) EventStream() bool {
	const want = "text/event-stream"
	v := r.Get(ContentType)
	for i, c := range v {
		if c == ';' {
			v = trim(v[:i])
			break
		}
	}
	return len(v) == len(want) && foldEqual(v, want)
}
