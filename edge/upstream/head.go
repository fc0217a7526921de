package upstream

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"semper/edge/http1"
)

// What a request may have was decided when it came in. These bounds only keep a mistake finite.
var outLimits = http1.Limits{
	Target: 1 << 20, Line: 1 << 20, Head: 4 << 20, Fields: 4096, ChunkExt: 1, ChunkExtTotal: 1, Trailer: 1 << 20,
}

// An outgoing is a request as it goes over the wire.
type outgoing struct {
	draft   []byte        // what net/http's request says
	parsed  http1.Request // the draft, as every receiver that keeps to the rules reads it
	head    []byte        // what is generated from that
	framing http1.Framing
	asked   http1.Asked
	upgrade []byte // a copy: below asked
}

var outgoings = sync.Pool{New: func() any { return new(outgoing) }}

// compose writes the head of req. It is generated twice: first as the fields say, then, by the same rules as every
// other request that is forwarded, from what our own parser makes of that. So nothing in req can frame the message, add
// to it, or be hop-by-hop.
func (o *outgoing) compose(req *http.Request) error {
	f, err := framingOf(req)
	if err != nil {
		return err
	}
	o.framing = f
	if o.draft, err = appendDraft(o.draft[:0], req, f); err != nil {
		return err
	}
	o.parsed.Reset()
	n, err := o.parsed.Parse(o.draft, &outLimits)
	switch {
	case err != nil:
		return err
	case n != len(o.draft) || o.parsed.Framing != f:
		return errors.New("the request reads as another one than it is: look at its target and fields")
	}
	forward := http1.Forward{
		Trusted: true, Assigned: true, ForwardedHost: []byte{}, RequestID: o.parsed.Get(http1.XRequestID), Upgrade: true, Close: req.Close,
		Shadow: o.parsed.Has(http1.SemperShadow), // of a client's request there is none left
	}
	if f.Kind == http1.Chunked {
		forward.Extra = announce(req.Trailer)
	}
	o.head = http1.AppendRequest(o.head[:0], &o.parsed, &forward)
	o.upgrade = append(o.upgrade[:0], o.parsed.UpgradeTo()...)
	o.asked = http1.Asked{Method: o.parsed.Method, Upgrade: o.upgrade}
	return nil
}

// framingOf is how the content of req is framed, by the conventions of net/http: a length of 0 with a body is unknown.
func framingOf(req *http.Request) (http1.Framing, error) {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		if req.ContentLength > 0 {
			return http1.Framing{}, errShortBody
		}
		return http1.Framing{}, nil
	case req.ContentLength > 0:
		return http1.Framing{Kind: http1.Length, Length: req.ContentLength}, nil
	}
	return http1.Framing{Kind: http1.Chunked}, nil
}

func appendDraft(dst []byte, req *http.Request, f http1.Framing) ([]byte, error) {
	method, target, host := req.Method, req.URL.RequestURI(), req.Host
	if method == "" {
		method = http.MethodGet
	}
	if host == "" {
		host = req.URL.Host
	}
	// The line must stay one line of three words; what the words are, the parser judges.
	if i := strings.IndexFunc(method+target, func(r rune) bool { return r <= ' ' || r >= 0x7f }); i >= 0 {
		return nil, fmt.Errorf("the method or target has a byte that none can have: %q %q", method, target)
	}
	dst = append(append(append(append(dst, method...), ' '), target...), " HTTP/1.1\r\n"...)
	dst, err := appendFields(dst, "Host", host)
	if err != nil {
		return nil, err
	}
	for _, k := range slices.Sorted(maps.Keys(req.Header)) {
		switch http.CanonicalHeaderKey(k) {
		case "Host", "Content-Length", "Transfer-Encoding", "Expect":
			continue // said by the request itself; an expectation is the edge's to meet
		case "User-Agent":
			if v := req.Header[k]; len(v) == 1 && v[0] == "" {
				continue // net/http's way to say that there is none
			}
		}
		if dst, err = appendFields(dst, k, req.Header[k]...); err != nil {
			return nil, err
		}
	}
	dst = http1.AppendFraming(dst, f)
	return append(dst, "\r\n"...), nil
}

func appendFields(dst []byte, name string, values ...string) ([]byte, error) {
	for _, v := range values {
		var ok bool
		if dst, ok = http1.AppendField(dst, name, v); !ok {
			return nil, fmt.Errorf("the field %q has a name or value that no field can have", name)
		}
	}
	return dst, nil
}

// announce is the Trailer field for what will stand at the end; empty where nothing will.
func announce(trailer http.Header) []byte {
	if len(trailer) == 0 {
		return nil
	}
	line, ok := http1.AppendField(nil, "Trailer", strings.Join(slices.Sorted(maps.Keys(trailer)), ", "))
	if !ok {
		return nil // appendEnd refuses it
	}
	return line
}

// appendEnd appends the last chunk and the trailer fields that may stand behind content. It is generated like a head:
// from what the parser makes of a draft.
func appendEnd(dst []byte, trailer http.Header) ([]byte, error) {
	if len(trailer) == 0 {
		return http1.AppendLastChunk(dst, nil), nil
	}
	draft := []byte("0\r\n")
	var err error
	for _, k := range slices.Sorted(maps.Keys(trailer)) {
		if draft, err = appendFields(draft, k, trailer[k]...); err != nil {
			return dst, err
		}
	}
	draft = append(draft, "\r\n"...)
	var b http1.Body
	b.ResetRequest(&http1.Request{Framing: http1.Framing{Kind: http1.Chunked}}, &outLimits)
	if _, n, done, err := b.Next(draft); err != nil || !done || n != len(draft) {
		return dst, errors.Join(errors.New("the trailer fields of the request do not end where they should"), err)
	}
	return http1.AppendLastChunk(dst, &b), nil
}

// free gives o back, unless a request was so large that nobody should keep its memory.
func (o *outgoing) free() {
	if cap(o.draft)+cap(o.head) <= 2*bufferSize {
		outgoings.Put(o)
	}
}
