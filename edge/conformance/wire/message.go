package wire

import (
	"errors"
	"fmt"
	"strings"
)

// ErrTruncated says that the connection ended inside a message.
var ErrTruncated = errors.New("the connection ended inside a message")

// SyntaxError says that what was sent is no message.
type SyntaxError struct {
	What string // which rule of the grammar, and the bytes that break it
}

func (e *SyntaxError) Error() string { return "not HTTP/1.1: " + e.What }

func syntax(format string, a ...any) error { return &SyntaxError{What: fmt.Sprintf(format, a...)} }

// Field is one field line, with its value's outer whitespace removed.
type Field struct{ Name, Value string }

// Fields are field lines in the order they came.
type Fields []Field

// Values are those of one field, whatever the case of its name.
func (f Fields) Values(name string) []string {
	var v []string
	for _, l := range f {
		if strings.EqualFold(l.Name, name) {
			v = append(v, l.Value)
		}
	}
	return v
}

// Has reports whether there is such a field.
func (f Fields) Has(name string) bool { return len(f.Values(name)) > 0 }

// Get is the combined value of a field (RFC 9110, 5.3); empty when there is none.
func (f Fields) Get(name string) string { return strings.Join(f.Values(name), ", ") }

// List are the members of a comma-separated field, in lower case, empty ones left out.
func (f Fields) List(name string) []string {
	var all []string
	for _, v := range f.Values(name) {
		for m := range strings.SplitSeq(v, ",") {
			if m = strings.ToLower(strings.Trim(m, " \t")); m != "" {
				all = append(all, m)
			}
		}
	}
	return all
}

// Framing is how the end of a body is known.
type Framing int

// The framings of RFC 9112, 6.3.
const (
	NoBody Framing = iota
	Length
	Chunked
	UntilClose
)

func (f Framing) String() string {
	return [...]string{"no body", "length", "chunked", "until close"}[f]
}

// Request is one request message.
type Request struct {
	Method, Target string
	Minor          int // of HTTP/1.x
	Fields         Fields
	Framing        Framing
	Length         int64 // where Framing is Length
	Body           []byte
	Trailer        Fields
}

// Close reports whether the connection ends with this request (RFC 9112, 9.3).
func (q *Request) Close() bool { return closes(q.Fields, q.Minor) }

// Response is one response message.
type Response struct {
	Status  int
	Minor   int
	Fields  Fields
	Framing Framing
	Length  int64
	Body    []byte
	Trailer Fields
}

// Close reports whether the connection ends with this response.
func (p *Response) Close() bool { return p.Framing == UntilClose || closes(p.Fields, p.Minor) }

// Interim reports whether another response to the same request follows; 101 is final here.
func (p *Response) Interim() bool { return p.Status/100 == 1 && p.Status != 101 }

func closes(f Fields, minor int) bool {
	keep := minor == 1
	for _, o := range f.List("Connection") {
		switch o {
		case "close":
			return true
		case "keep-alive":
			keep = true
		}
	}
	return !keep
}
