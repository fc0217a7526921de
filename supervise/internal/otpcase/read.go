package otpcase

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// ErrInvalid is wrapped by every error about the input itself.
var ErrInvalid = errors.New("invalid case")

// Read reads cases until the end of r: JSON objects, one after the other, separated by white space or nothing. An error
// that wraps ErrInvalid names the line and the key. The cases before it are returned as well.
func Read(r io.Reader) ([]Case, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	var cases []Case
	names := map[string]bool{}
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return cases, nil
		}
		if err != nil {
			at := d.InputOffset()
			if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
				at = syntax.Offset
			}
			return cases, fmt.Errorf("line %d: %w: %w", line(text, at), ErrInvalid, err)
		}
		begin := d.InputOffset() - int64(len(raw))
		c, at, err := one(raw)
		if err == nil && names[c.Name] {
			err = fmt.Errorf("name: %q is the name of an earlier case, want another", c.Name)
		}
		if err != nil {
			return cases, fmt.Errorf("line %d: %w: %w", line(text, begin+at), ErrInvalid, err)
		}
		names[c.Name] = true
		cases = append(cases, c)
	}
}

// line is the number of the line that the byte at offset stands on, from 1.
func line(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(max(offset-1, 0), int64(len(text)))], []byte("\n"))
}

var unknown = regexp.MustCompile(`unknown field "(.*)"`)

// one reads a single case. With an error comes the place in raw that it is about.
func one(raw []byte) (c Case, at int64, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err = d.Decode(&c)
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return c, 1, c.validate()
	case errors.As(err, &kind):
		return c, kind.Offset, fmt.Errorf("%s: got %s, want %s", cmp.Or(kind.Field, "the case"), kind.Value, jsonName(kind.Type.Kind().String()))
	}
	if m := unknown.FindStringSubmatch(err.Error()); m != nil {
		key := regexp.MustCompile(`"` + regexp.QuoteMeta(m[1]) + `"\s*:`)
		if found := key.FindIndex(raw); found != nil {
			at = int64(found[0]) + 1
		}
		return c, at, fmt.Errorf("%s: there is no such key; otptrace -help lists those there are", m[1])
	}
	if strings.HasPrefix(err.Error(), "shutdown") {
		at = int64(bytes.Index(raw, []byte(`"shutdown"`))) + 1
	}
	return c, at, err
}

// jsonName says in the words of JSON what a Go kind is read from.
func jsonName(kind string) string {
	switch kind {
	case "struct", "ptr":
		return "an object"
	case "slice":
		return "a list"
	case "bool":
		return "true or false"
	case "int":
		return "a whole number"
	}
	return "a " + kind
}
