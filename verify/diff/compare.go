package diff

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// A Response is what is compared of one.
type Response struct {
	Status int
	Header http.Header
	Body   []byte // whole, or nil if it was too large to keep or was not read
	Length int64  // of the body, whether it was kept or not
	Sum    [sha256.Size]byte
	Kept   bool // Body is the whole body
	// Asked is the path that was asked for, which for gRPC says what Body is; empty where the endpoint says it.
	Asked string
	// Decoded says that Body is what was coded as Content-Encoding says. Otherwise a body with such a field is bytes.
	Decoded bool
}

// NewResponse is a response whose whole body is body.
func NewResponse(status int, h http.Header, body []byte) Response {
	return Response{Status: status, Header: h, Body: body, Length: int64(len(body)), Sum: sha256.Sum256(body), Kept: true}
}

// A Difference is one that was not declared. Was and Is are examples, masked and shortened.
type Difference struct {
	Path Path   `json:"path"`
	Kind Kind   `json:"kind"`
	Was  string `json:"was,omitempty"`
	Is   string `json:"is,omitempty"`
}

// String is the difference in words.
func (d Difference) String() string {
	switch d.Kind {
	case Added:
		return fmt.Sprintf("%s added: %s", d.Path, d.Is)
	case Removed:
		return fmt.Sprintf("%s removed: %s", d.Path, d.Was)
	}
	return fmt.Sprintf("%s %s: %s → %s", d.Path, d.Kind, d.Was, d.Is)
}

// A Comparison is what was found in one pair.
type Comparison struct {
	Differences []Difference `json:"differences"` // not declared
	Expected    int          `json:"expected"`    // declared ones, those to be ignored too
	Cut         bool         `json:"cut,omitempty"`
}

// Options say how responses are compared.
type Options struct {
	// Fields are the header fields that are compared. nil: Content-Type, Location, Cache-Control, Content-Encoding, Vary, and of gRPC
	// Grpc-Status and Grpc-Message, which come behind the body.
	Fields []string
	Rules  []Rule
	Mask   []string  // names whose values are not shown, beside [DefaultMasks]
	Proto  Protobufs // what Protocol Buffers bodies hold; nil: they are compared as bytes
}

var defaultFields = []string{"Content-Type", "Location", "Cache-Control", "Content-Encoding", "Vary", "Grpc-Status", "Grpc-Message"}

// A Comparer compares responses by its options. It may be used by several goroutines at once.
type Comparer struct {
	fields  []string
	rules   []compiled
	matched []atomic.Int64 // how often each rule has
	masks   masks
	proto   Protobufs
}

// New is a comparer; all that is wrong with the rules is told at once.
func New(o Options) (*Comparer, error) {
	c := &Comparer{masks: newMasks(o.Mask), proto: o.Proto, matched: make([]atomic.Int64, len(o.Rules))}
	c.fields = defaultFields
	if o.Fields != nil {
		c.fields = nil
		for _, f := range o.Fields {
			c.fields = append(c.fields, textproto.CanonicalMIMEHeaderKey(f))
		}
	}
	var all []error
	for i, r := range o.Rules {
		rule, err := r.compile()
		if err != nil {
			all = append(all, fmt.Errorf("rule %d: %w", i+1, err))
		}
		c.rules = append(c.rules, rule)
	}
	return c, errors.Join(all...)
}

// Fields are the names of the header fields that are compared.
func (c *Comparer) Fields() []string { return slices.Clone(c.fields) }

// Stale are the rules that declare something which has never come. Those that were over at now are among them.
func (c *Comparer) Stale() []Rule {
	var stale []Rule
	for i := range c.rules {
		if !c.rules[i].Ignore && c.matched[i].Load() == 0 {
			stale = append(stale, c.rules[i].Rule)
		}
	}
	return stale
}

// Compare says where is differs from was. endpoint is which rules are for, now what their ends are compared with.
func (c *Comparer) Compare(endpoint string, now time.Time, was, is Response) Comparison {
	var w walk
	if was.Status != is.Status {
		w.add(Path{"status"}, Changed, number(was.Status), number(is.Status))
	}
	c.header(&w, was.Header, is.Header)
	c.body(&w, endpoint, &was, &is)
	out := Comparison{Cut: w.cut}
	rest := c.declared(&out, endpoint, now, w.all)
	for _, f := range rest {
		d := Difference{Path: f.path, Kind: f.kind}
		if f.kind != Added {
			d.Was = c.masks.show(f.path, f.was)
		}
		if f.kind != Removed {
			d.Is = c.masks.show(f.path, f.is)
		}
		out.Differences = append(out.Differences, d)
	}
	return out
}

// declared takes out of all what rules are for.
func (c *Comparer) declared(out *Comparison, endpoint string, now time.Time, all []found) []found {
	taken := make([]bool, len(all))
	for r := range c.rules {
		rule := &c.rules[r]
		for i := range all {
			if taken[i] {
				continue
			}
			if rule.takes(endpoint, now, &all[i]) {
				taken[i] = true
				c.matched[r].Add(1)
				continue
			}
			for j := range all {
				if !taken[j] && !taken[i] && rule.renames(endpoint, now, &all[i], &all[j]) {
					taken[i], taken[j] = true, true
					c.matched[r].Add(1)
				}
			}
		}
	}
	var rest []found
	for i, f := range all {
		if taken[i] {
			out.Expected++
		} else {
			rest = append(rest, f)
		}
	}
	return rest
}

func (c *Comparer) header(w *walk, was, is http.Header) {
	for _, name := range c.fields {
		a, b := strings.Join(was[name], ", "), strings.Join(is[name], ", ")
		p := Path{"header", strings.ToLower(name)}
		switch _, had := was[name]; {
		case a == b && had == (is[name] != nil):
		case !had:
			w.add(p, Added, nil, b)
		case is[name] == nil:
			w.add(p, Removed, a, nil)
		default:
			w.add(p, Changed, a, b)
		}
	}
}

var body = Path{"body"}

func (c *Comparer) body(w *walk, endpoint string, was, is *Response) {
	if was.Length == is.Length && was.Sum == is.Sum {
		return
	}
	a, b := c.read(endpoint, was), c.read(endpoint, is)
	switch {
	case a.form == opaque && b.form == opaque:
		w.add(body, Changed, a.value, b.value)
	case a.form != b.form:
		w.add(body, Retyped, raw(a.form+", "+sizeOf(was)), raw(b.form+", "+sizeOf(is)))
	case a.form == text:
		if a.value != b.value { // but for space at the ends
			w.add(body, Changed, a.value, b.value)
		}
	case a.form == page:
		w.page(body, a.page, b.page)
	default:
		w.value(body, a.value, b.value)
	}
}

// The forms of a body.
const (
	document = "JSON"
	page     = "HTML"
	message  = "Protocol Buffers"
	text     = "text"
	opaque   = "bytes"
)

// content is a body that was read.
type content struct {
	form  string
	value any
	page  *element
}

// read is r's body in the form its type says, and if it is not, as what it is.
func (c *Comparer) read(endpoint string, r *Response) content {
	if !r.Kept || !r.Decoded && r.Header.Get("Content-Encoding") != "" {
		return content{form: opaque, value: raw(sizeOf(r))}
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) //nolint:errcheck // what is no type is no type that is known here
	switch {
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		if v, err := decode(r.Body); err == nil {
			return content{form: document, value: v}
		}
	case media == "text/html" || media == "application/xhtml+xml":
		if e := parsePage(r.Body); e != nil {
			return content{form: page, page: e}
		}
	case c.proto != nil && slices.Contains(protoTypes, media):
		if v, err := c.proto.Decode(endpoint, r); err == nil {
			return content{form: message, value: v}
		}
	}
	if strings.HasPrefix(media, "text/") && utf8.Valid(r.Body) {
		return content{form: text, value: string(bytes.TrimSpace(r.Body))}
	}
	return content{form: opaque, value: raw(sizeOf(r))}
}

func sizeOf(r *Response) string {
	return fmt.Sprintf("%d bytes, SHA-256 %x…", r.Length, r.Sum[:4])
}

func number(n int) any { return raw(strconv.Itoa(n)) }
