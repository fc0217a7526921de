package capture

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"semper/internal/jsonwords"
	"semper/verify/diff"
)

// har reads an HTTP archive, version 1.2, entry by entry.
type har struct {
	*source
	inside, done bool
	n            int // entries
}

// A harEntry is what is needed of one. Browsers add fields of their own.
type harEntry struct {
	Started string `json:"startedDateTime"`
	Request *struct {
		Method, URL      string
		Headers, Cookies []field
		PostData         *struct {
			MimeType, Text, Encoding string
			Params                   []struct{ Name, Value, FileName string }
		}
		BodySize int64
	}
	Response *struct {
		Status  int
		Headers []field
		Content struct {
			Size     int64
			Text     *string
			Encoding string
			MimeType string
		}
	}
}

func (h *har) next() (Exchange, error) {
	if h.done {
		return Exchange{}, io.EOF
	}
	if !h.inside {
		if err := h.open(); err != nil {
			return Exchange{}, err
		}
	}
	b, err := h.space()
	switch {
	case err != nil:
		return Exchange{}, h.errorf(h.line, "it ends behind entry %d: %w", h.n, whole(err))
	case b == ']':
		return Exchange{}, h.close()
	case b == ',' && h.n > 0:
		h.byte() //nolint:errcheck // it was peeked
	case h.n > 0:
		return Exchange{}, h.errorf(h.line, "%q stands behind entry %d: a comma or ] would", b, h.n)
	}
	h.n++
	if _, err := h.space(); err != nil {
		return Exchange{}, h.errorf(h.line, "it ends before entry %d: %w", h.n, whole(err))
	}
	line := h.line
	text, kept, err := h.value(h.most)
	if err != nil {
		return Exchange{}, h.errorf(line, "entry %d: %w", h.n, err)
	}
	e := Exchange{Place: fmt.Sprintf("%s:%d: entry %d", h.name, line, h.n)}
	if !kept {
		e.Left = TooLarge
		return e, nil
	}
	var entry harEntry
	if err := json.Unmarshal(text, &entry); err != nil {
		return e, h.errorf(line+linesBefore(text, err), "entry %d: %w", h.n, jsonwords.Plain(err))
	}
	if err := entry.exchange(&e); err != nil {
		return e, fmt.Errorf("%s: %w", e.Place, err)
	}
	return e, nil
}

// linesBefore is in which line of text, counted from 0, a decoder met err.
func linesBefore(text []byte, err error) int {
	at, _ := jsonwords.Offset(err)
	return bytes.Count(text[:min(int(at), len(text))], []byte("\n"))
}

// exchange is the entry as it is sent again.
func (h *harEntry) exchange(e *Exchange) (err error) {
	r := h.Request
	if r == nil {
		return errors.New("it has no request")
	}
	fields, authority, err := header(r.Headers)
	if err != nil {
		return err
	}
	if len(r.Cookies) > 0 && fields.Get("Cookie") == "" {
		var all []string
		for _, c := range r.Cookies {
			all = append(all, c.Name+"="+c.Value)
		}
		fields.Set("Cookie", strings.Join(all, "; "))
	}
	body, known, err := h.body(fields)
	if err != nil {
		return err
	}
	e.Request, e.Left, err = request(r.Method, r.URL, authority, fields, body)
	switch {
	case err != nil || e.Left != "":
		return err
	case e.Request.URL.Scheme == "":
		return errors.New("its URL has no scheme: HAR has absolute ones")
	case !known:
		e.Left = NotWhole
		return nil
	}
	if h.Started != "" {
		if e.At, err = time.Parse(time.RFC3339Nano, h.Started); err != nil {
			return fmt.Errorf("startedDateTime %q is no time of ISO 8601", h.Started)
		}
	}
	e.Response, err = h.response()
	return err
}

// body is what the request sent; known: it was recorded.
func (h *harEntry) body(fields http.Header) (b []byte, known bool, err error) {
	r := h.Request
	p := r.PostData
	switch {
	case p == nil || p.Text == "" && len(p.Params) == 0:
		return nil, r.BodySize <= 0, nil
	case p.Text != "" && p.Encoding == "base64": // as some write what is no text
		b, err = base64.StdEncoding.DecodeString(p.Text)
		if err != nil {
			err = fmt.Errorf("postData: %w", err)
		}
	case p.Text != "":
		b = []byte(p.Text)
	case strings.HasPrefix(strings.ToLower(p.MimeType), "application/x-www-form-urlencoded"):
		var all []string
		for _, f := range p.Params {
			all = append(all, url.QueryEscape(f.Name)+"="+url.QueryEscape(f.Value))
		}
		b = []byte(strings.Join(all, "&"))
	default: // a form of parts, the boundaries of which are not in its params
		return nil, false, nil
	}
	if fields.Get("Content-Type") == "" && p.MimeType != "" {
		fields.Set("Content-Type", p.MimeType)
	}
	return b, true, err
}

// response is what was recorded; nil: nothing, or without its content.
func (h *harEntry) response() (*diff.Response, error) {
	r := h.Response
	if r == nil || r.Status == 0 { // of a request that was blocked or broken off
		return nil, nil
	}
	if r.Status < 100 || r.Status > 999 {
		return nil, fmt.Errorf("status %d is none: it has three digits", r.Status)
	}
	fields, _, err := header(r.Headers)
	if err != nil {
		return nil, fmt.Errorf("the response: %w", err)
	}
	var body []byte
	switch c := r.Content; {
	case c.Text == nil:
		if c.Size > 0 && h.Request.Method != http.MethodHead {
			return nil, nil
		}
	case c.Encoding == "base64":
		if body, err = base64.StdEncoding.DecodeString(*c.Text); err != nil {
			return nil, fmt.Errorf("the response's content: %w", err)
		}
	case c.Encoding != "":
		return nil, fmt.Errorf("the response's content is in %q: HAR knows base64", c.Encoding)
	default:
		body = []byte(*c.Text)
	}
	return response(r.Status, fields, body), nil
}
