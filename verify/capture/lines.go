package capture

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"

	"semper/internal/jsonwords"
	"semper/verify/offline"
)

// jsonLines reads semper's own format: an [offline.Recorded] with its request in each line.
type jsonLines struct {
	*source
	buffer []byte
}

// lineKeys are those that an [offline.Recorded] may have.
var lineKeys = []string{"id", "endpoint", "time", "request", "status", "header", "body", "body_base64"}

func (l *jsonLines) next() (Exchange, error) {
	for {
		line := l.line
		text, kept, err := l.appendLine(l.buffer[:0], l.most)
		l.buffer = text
		if err != nil && !errors.Is(err, io.EOF) {
			return Exchange{}, l.errorf(line, "%w", err)
		}
		if kept && len(bytes.TrimSpace(text)) == 0 {
			if err != nil {
				return Exchange{}, io.EOF
			}
			continue
		}
		e := Exchange{Place: fmt.Sprintf("%s:%d", l.name, line)}
		if !kept {
			e.Left = TooLarge
			return e, nil
		}
		if err := recorded(text, &e); err != nil {
			return e, fmt.Errorf("%s: %w", e.Place, err)
		}
		return e, nil
	}
}

func recorded(text []byte, e *Exchange) error {
	var rec offline.Recorded
	if _, err := jsonwords.Decode(text, &rec); err != nil {
		return fmt.Errorf("a recorded exchange as JSON: %w", err)
	}
	if rec.Request == nil {
		return errors.New("it has no request: semper verify diff compares responses without one, and a replay has to send it")
	}
	q := rec.Request
	var fields []field
	for name, values := range q.Header {
		for _, v := range values {
			fields = append(fields, field{name, v})
		}
	}
	h, authority, err := header(fields)
	if err != nil {
		return err
	}
	body := []byte(q.Body.Text)
	if q.Base64 != "" {
		if body, err = base64.StdEncoding.DecodeString(q.Base64); err != nil {
			return fmt.Errorf("the request's body_base64: %w", err)
		}
	}
	method := q.Method
	if method == "" {
		method = http.MethodGet
	}
	if e.Request, e.Left, err = request(method, q.URL, authority, h, body); err != nil || e.Left != "" {
		return err
	}
	e.At = rec.Time
	if rec.Status == 0 {
		return nil // a request alone
	}
	r, err := rec.Response()
	if err == nil {
		e.Response = response(r.Status, r.Header, r.Body)
	}
	return err
}
