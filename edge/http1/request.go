package http1

// A Method is a request's method, if it is a known one.
type Method uint8

// The methods. OtherMethod is any other token. CONNECT has none here: Parse refuses it.
const (
	OtherMethod Method = iota
	GET
	HEAD
	POST
	PUT
	PATCH
	DELETE
	OPTIONS
	TRACE
)

// Safe methods do not ask for a change (RFC 9110, 9.2.1).
func (m Method) Safe() bool { return m == GET || m == HEAD || m == OPTIONS || m == TRACE }

// Idempotent methods may be sent twice (RFC 9110, 9.2.2).
func (m Method) Idempotent() bool { return m.Safe() || m == PUT || m == DELETE }

func methodOf(b []byte) Method {
	switch string(b) {
	case "GET":
		return GET
	case "HEAD":
		return HEAD
	case "POST":
		return POST
	case "PUT":
		return PUT
	case "PATCH":
		return PATCH
	case "DELETE":
		return DELETE
	case "OPTIONS":
		return OPTIONS
	case "TRACE":
		return TRACE
	}
	return OtherMethod
}

// A Form is a form of a request's target (RFC 9112, 3.2).
type Form uint8

// The forms that Parse lets pass.
const (
	OriginForm   Form = iota // /path?query
	AbsoluteForm             // http://host/path?query
	AsteriskForm             // *, of OPTIONS
)

// Unusual is a set of reasons why a request is not for the shortest path through a driver.
type Unusual uint8

// What is unusual.
const (
	UnusualVersion Unusual = 1 << iota // HTTP/1.0
	UnusualForm                        // the target is no path
	UnusualPath                        // it has dot segments, or an encoded slash, dot, percent sign or the like
	UnusualExpect                      // it expects 100-continue
	UnusualUpgrade                     // it may change the protocol
)

type span struct{ from, to uint32 }

// A Request is the head of a request. Its zero value is ready; it is reused by Reset, keeps the memory of its table of
// fields, and is for one goroutine at a time. Byte slices that it hands out are parts of the buffer that Parse was
// given last, or that Rebase named, and live as long as that.
//
// The fields are settled once Parse has returned a length.
type Request struct {
	head

	Method    Method
	Form      Form
	Minor     uint8 // of the version: 0 or 1
	Framing   Framing
	Unusual   Unusual
	KeepAlive bool // the connection may take another request after this one
	Trailers  bool // the client takes trailers (TE: trailers)
	HasQuery  bool // the target has a question mark

	stage  uint8
	marks  uint8 // OR of the classes of the path's bytes
	method span
	path   span
	query  span
	host   span // as sent, with port
	port   uint32
	up     span // the protocol to change to
}

// The stages of Parse: what is being read.
const (
	atMethod uint8 = iota
	atTarget
	atQuery
	atAbsolute
	atVersion
	atFields
	atEnd
)

// Reset makes r ready for the next request.
func (r *Request) Reset() {
	r.reset()
	r.Method, r.Form, r.Minor, r.Framing = OtherMethod, OriginForm, 0, Framing{}
	r.Unusual, r.KeepAlive, r.Trailers, r.HasQuery = 0, false, false, false
	r.stage, r.marks, r.port = atMethod, 0, 0
	r.method, r.path, r.query, r.host, r.up = span{}, span{}, span{}, span{}, span{}
}

// Parse reads a head from the beginning of buf. n is its length, and the request is settled; what follows in buf is
// not of the head. When n is 0 and err nil, the head goes on behind buf: Parse is called again with the same bytes and
// more behind them, wherever they stand then. It does not look again at what it has seen.
//
// An error is always an *Error, and final until Reset. Which one does not depend on the pieces the bytes came in.
func (r *Request) Parse(buf []byte, lim *Limits) (n int, err error) {
	n, d := r.parse(buf, lim)
	if d != fine {
		return 0, requestErrors[d]
	}
	return n, nil
}

func (r *Request) parse(buf []byte, lim *Limits) (n int, d defect) {
	if r.stage < atFields {
		if d = r.requestLine(buf, lim); d != fine {
			return 0, d
		}
		if r.stage < atFields {
			return 0, fine
		}
	}
	if r.stage == atFields {
		if n, d = r.scan(buf, lim); n == 0 || d != fine {
			return 0, d
		}
		r.stage = atEnd
		r.bytes = buf[:n:n]
		if d = r.settle(lim); d != fine {
			r.bytes = nil
			return 0, d
		}
	}
	return n, fine
}

func (r *Request) part(s span) []byte { return r.bytes[s.from:s.to:s.to] }

// MethodName is the method as it came.
func (r *Request) MethodName() []byte { return r.part(r.method) }

// Path is the path as it came: never empty, "*" in asterisk form, "/" where a URL had none. Its encodings are sound,
// and CanonicalPath takes it.
func (r *Request) Path() []byte {
	switch {
	case r.path.from != r.path.to:
		return r.part(r.path)
	case r.Form == AsteriskForm:
		return asteriskPath
	}
	return rootPath
}

var (
	rootPath     = []byte("/")
	asteriskPath = []byte("*")
)

// Query is what stands behind the question mark, byte for byte.
func (r *Request) Query() []byte { return r.part(r.query) }

// Host is the host the request is for, as it was sent, with its port if it has one: the target's if that has one, else
// the field's. Only a request of HTTP/1.0 may have none.
func (r *Request) Host() []byte { return r.part(r.host) }

// HostName is Host without port. It may have capitals and end in a dot; see AppendHostName.
func (r *Request) HostName() []byte { return r.part(span{r.host.from, r.port}) }

// AppendHostName appends the host's name as routes know it: without port, a dot at its end, and capitals.
func (r *Request) AppendHostName(dst []byte) []byte {
	name := r.HostName()
	if n := len(name); n > 0 && name[n-1] == '.' {
		name = name[:n-1]
	}
	for _, c := range name {
		dst = append(dst, toLower(c))
	}
	return dst
}

// UpgradeTo is the protocol the request asks to change to; nil when it does not, or may not.
func (r *Request) UpgradeTo() []byte {
	if r.Unusual&UnusualUpgrade == 0 {
		return nil
	}
	return r.part(r.up)
}

// Expects reports whether the client waits for 100 Continue before it sends the content.
func (r *Request) Expects() bool { return r.Unusual&UnusualExpect != 0 }

// RequestID is the id that a trusted peer has given the request; nil when there is none, or none worth keeping.
func (r *Request) RequestID(trusted bool) []byte {
	if !trusted || !r.has.has(XRequestID) || r.twice.has(XRequestID) {
		return nil
	}
	id := r.Get(XRequestID)
	if len(id) == 0 || len(id) > 128 {
		return nil
	}
	for _, c := range id {
		if c <= ' ' || c >= 0x7f {
			return nil
		}
	}
	return id
}
