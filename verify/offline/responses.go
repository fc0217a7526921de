package offline

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"semper/internal/jsonwords"
	"semper/verify/diff"
)

// A Recorded is one response of a recorded set, as a line of JSON. A body that is no text is in Base64 in its stead. The request is
// what got it: to compare responses it is not needed, to send it again it is, and then the response is not.
type Recorded struct {
	ID       string              `json:"id,omitempty"` // pairs responses; without it their order does
	Endpoint string              `json:"endpoint,omitempty"`
	Time     time.Time           `json:"time,omitzero"` // when the request was sent
	Request  *Request            `json:"request,omitempty"`
	Status   int                 `json:"status"`
	Header   map[string][]string `json:"header,omitempty"`
	Body     Body                `json:"body,omitzero"`
	Base64   string              `json:"body_base64,omitempty"`
}

// A Body is what was sent. In a line it stands as text, or as the JSON that it is: an object, a list, a number, true, false. null is none.
type Body struct {
	Text string
	JSON bool // it stood as the JSON that it is
}

// UnmarshalJSON takes text as it is, and another value for its own text.
func (b *Body) UnmarshalJSON(value []byte) error {
	switch value[0] {
	case 'n':
		return nil
	case '"':
		return json.Unmarshal(value, &b.Text)
	}
	b.Text, b.JSON = string(value), true
	return nil
}

// A Request is one that was recorded. Header may have Host, which otherwise is that of the URL.
type Request struct {
	Method string              `json:"method,omitempty"` // empty: GET
	URL    string              `json:"url"`              // absolute, or a path and query
	Header map[string][]string `json:"header,omitempty"`
	Body   Body                `json:"body,omitzero"`
	Base64 string              `json:"body_base64,omitempty"`
}

// Response is r as it is compared.
func (r *Recorded) Response() (diff.Response, error) {
	if r.Status < 100 || r.Status > 999 {
		return diff.Response{}, fmt.Errorf("status %d is none: it has three digits", r.Status)
	}
	body := []byte(r.Body.Text)
	if r.Base64 != "" {
		var err error
		if body, err = base64.StdEncoding.DecodeString(r.Base64); err != nil {
			return diff.Response{}, fmt.Errorf("body_base64: %w", err)
		}
	}
	h := make(http.Header, len(r.Header))
	for name, values := range r.Header {
		for _, v := range values {
			h.Add(name, v)
		}
	}
	if r.Body.JSON && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	out := diff.NewResponse(r.Status, h, body)
	if r.Request != nil {
		if u, err := url.Parse(r.Request.URL); err == nil {
			out.Asked = u.Path
		}
	}
	return out, nil
}

// maxResponse bounds one line of recorded responses.
const maxResponse = 64 << 20

// responses reads a set of recorded responses, one after the other.
type responses struct {
	name string
	s    *bufio.Scanner
	line int
}

func newResponses(name string, r io.Reader) *responses {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxResponse)
	return &responses{name: name, s: s}
}

// next is the next response; io.EOF: there is none.
func (r *responses) next() (Recorded, diff.Response, error) {
	for r.s.Scan() {
		r.line++
		if len(bytes.TrimSpace(r.s.Bytes())) == 0 {
			continue
		}
		var rec Recorded
		if _, err := jsonwords.Decode(r.s.Bytes(), &rec); err != nil {
			return rec, diff.Response{}, fmt.Errorf("%s:%d: %w", r.name, r.line, err)
		}
		resp, err := rec.Response()
		if err != nil {
			err = fmt.Errorf("%s:%d: %w", r.name, r.line, err)
		}
		return rec, resp, err
	}
	if err := r.s.Err(); err != nil {
		return Recorded{}, diff.Response{}, fmt.Errorf("%s:%d: a line that cannot be read: %w", r.name, r.line+1, err)
	}
	return Recorded{}, diff.Response{}, io.EOF
}

// A Pair is what was found between one response of a set and its other in the second.
type Pair struct {
	ID       string          `json:"id,omitempty"`
	Endpoint string          `json:"endpoint,omitempty"`
	Found    diff.Comparison `json:"found"`
}

// A Named is a stream with the name it is told by.
type Named struct {
	Name string
	io.Reader
}

// Compare compares a set of responses with another by c, and gives each pair to tell. A response without its other is an error: the
// sets are then not of the same requests. A board of the same differences is returned with it: without a second set of the first
// release nothing says which of them happen anyway, and it is for their places and numbers only.
func Compare(c *diff.Comparer, now time.Time, was, is Named, tell func(Pair) error) (*diff.Board, error) {
	a, b := newResponses(was.Name, was), newResponses(is.Name, is)
	board := new(diff.Board)
	for n := 1; ; n++ {
		x, before, errA := a.next()
		y, after, errB := b.next()
		switch {
		case errors.Is(errA, io.EOF) && errors.Is(errB, io.EOF):
			return board, nil
		case errors.Is(errA, io.EOF) != errors.Is(errB, io.EOF) && (errA == nil || errB == nil):
			return board, fmt.Errorf("%s and %s have not as many responses: one ends after %d", was.Name, is.Name, n-1)
		case errA != nil && !errors.Is(errA, io.EOF):
			return board, errA
		case errB != nil:
			return board, errB
		case x.ID != y.ID:
			return board, fmt.Errorf("%s:%d is %q and %s:%d is %q: sort both sets by the same requests", was.Name, a.line, x.ID, is.Name, b.line, y.ID)
		}
		endpoint := x.Endpoint
		found := c.Compare(endpoint, now, before, after)
		board.Add(endpoint, found, nil)
		if err := tell(Pair{ID: x.ID, Endpoint: endpoint, Found: found}); err != nil {
			return board, err
		}
	}
}
