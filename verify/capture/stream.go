package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// JSON in a stream: values are taken out whole, and only those are that are needed. What stands between them is checked, what
// is skipped is framed and not read.

// open goes to the first entry.
func (h *har) open() error {
	for _, want := range []string{"log", "entries"} {
		if err := h.enter(want); err != nil {
			return err
		}
	}
	h.inside = true
	return h.expect('[', "log.entries")
}

// enter goes behind the key of an object that begins here.
func (h *har) enter(want string) error {
	if err := h.expect('{', "the object with "+want); err != nil {
		return err
	}
	for {
		b, err := h.space()
		if err != nil {
			return h.errorf(h.line, "%w", whole(err))
		}
		if b == '}' {
			return h.errorf(h.line, "there is no %q before this: it is no HAR file, and no line of a recording either", want)
		}
		line := h.line
		text, _, err := h.value(1 << 10)
		if err != nil {
			return h.errorf(line, "%w", err)
		}
		var key string
		if json.Unmarshal(text, &key) != nil {
			return h.errorf(line, "a key of an object is no string")
		}
		if err := h.expect(':', key); err != nil {
			return err
		}
		if key == want {
			return nil
		}
		if _, _, err := h.value(0); err != nil {
			return h.errorf(h.line, "%s: %w", key, err)
		}
		if b, err := h.space(); err == nil && b == ',' {
			h.byte() //nolint:errcheck // it was peeked
		}
	}
}

// expect takes one byte that must be here.
func (h *har) expect(want byte, of string) error {
	b, err := h.space()
	switch {
	case err != nil:
		return h.errorf(h.line, "%s: %w", of, whole(err))
	case b != want:
		return h.errorf(h.line, "%s: there is %q, and not %q", of, b, want)
	}
	_, err = h.byte()
	return err
}

// close reads what is behind the entries, to see that nothing was cut off.
func (h *har) close() error {
	h.done = true
	depth := 3 // the document, log, entries
	for quoted, escaped := false, false; ; {
		b, err := h.byte()
		switch {
		case errors.Is(err, io.EOF) && depth == 0:
			return io.EOF
		case err != nil:
			return h.errorf(h.line, "it is cut off behind entry %d: %w", h.n, whole(err))
		case escaped:
			escaped = false
		case b == '\\':
			escaped = quoted
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			depth++
		case b == '}' || b == ']':
			depth--
		}
	}
}

// value takes the value that begins here. One of more than most bytes is read to its end, and not kept.
func (s *source) value(most int) (text []byte, kept bool, err error) {
	first, err := s.space()
	if err != nil {
		return nil, false, whole(err)
	}
	if ends(first) {
		return nil, false, fmt.Errorf("there is %q where a value is to be", first)
	}
	kept = true
	for f := (frame{}); ; {
		if _, err := s.in.Peek(1); err != nil {
			return nil, false, fmt.Errorf("it is cut off: %w", whole(err))
		}
		part, _ := s.in.Peek(s.in.Buffered())
		n, done := f.scan(part)
		if kept = kept && len(text)+n <= most; kept {
			text = append(text, part[:n]...)
		} else {
			text = nil
		}
		s.line += bytes.Count(part[:n], []byte("\n"))
		s.in.Discard(n) //nolint:errcheck // it was peeked
		if done {
			return text, kept, nil
		}
	}
}

// ends reports whether b is behind a number or a word.
func ends(b byte) bool { return b == ',' || b == ']' || b == '}' || b == ':' || blank(b) }

// A frame is where in a value one is.
type frame struct {
	depth           int
	quoted, escaped bool
}

// scan goes on through b, to the end of the value or of b. It returns how many bytes of b are the value's.
func (f *frame) scan(b []byte) (n int, done bool) {
	for i, c := range b {
		switch {
		case f.escaped:
			f.escaped = false
			continue
		case f.quoted:
			f.escaped, f.quoted = c == '\\', c != '"'
			if c == '"' && f.depth == 0 {
				return i + 1, true
			}
			continue
		case f.depth == 0 && ends(c):
			return i, true // of a number or a word
		case c == '"':
			f.quoted = true
		case c == '{' || c == '[':
			f.depth++
		case c == '}' || c == ']':
			if f.depth--; f.depth == 0 {
				return i + 1, true
			}
		}
	}
	return len(b), false
}

// whole says of an end that it came too early.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
