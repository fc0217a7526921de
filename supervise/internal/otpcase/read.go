package otpcase

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	"semper/internal/nearest"
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
	if at, err := checkKeys(raw); err != nil {
		return c, at, err
	}
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
		at := place(raw, m[1])
		return c, at, fmt.Errorf("%s: there is no such key here; %sotptrace -help lists those there are", m[1], meant(raw, at, m[1]))
	}
	if strings.HasPrefix(err.Error(), "shutdown") {
		return c, place(raw, "shutdown"), err
	}
	return c, 1, err
}

// meant says which key may have been meant by one at a place.
func meant(raw []byte, at int64, key string) string {
	t := reflect.TypeFor[Case]()
	switch around(raw, at) {
	case "tree":
		t = reflect.TypeFor[Tree]()
	case "children", "spec":
		t = reflect.TypeFor[Child]()
	case "steps":
		t = reflect.TypeFor[Step]()
	}
	var keys []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		keys = append(keys, name)
	}
	if k := nearest.To(key, keys); k != "" {
		return fmt.Sprintf("did you mean %q? ", k)
	}
	return ""
}

// around is the key of the innermost object or list of objects around a place; empty for the case itself.
func around(raw []byte, at int64) string {
	var keys []string // of what is open
	last := ""
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		token, err := d.Token()
		if err != nil || d.InputOffset() >= at {
			break
		}
		switch token := token.(type) {
		case string:
			last = token // or a value, behind which nothing opens
		case json.Delim:
			if token == '}' || token == ']' {
				keys = keys[:len(keys)-1]
				continue
			}
			if n := len(keys); token == '{' && n > 0 && last == "" {
				last = keys[n-1] // one of a list
			}
			keys = append(keys, last)
			last = ""
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return keys[len(keys)-1]
}

// checkKeys refuses a key that comes twice in one object, and one with capital letters, which encoding/json would take for
// the same without them.
func checkKeys(raw []byte) (at int64, err error) {
	var open []map[string]bool // the objects around the place, with their keys so far; nil for a list
	isKey := false
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return 0, nil
		}
		if err != nil {
			return d.InputOffset(), err
		}
		key, isText := token.(string)
		switch {
		case token == json.Delim('{'):
			open = append(open, map[string]bool{})
		case token == json.Delim('['):
			open = append(open, nil)
		case token == json.Delim('}') || token == json.Delim(']'):
			open = open[:len(open)-1]
		case isText && isKey:
			keys := open[len(open)-1]
			switch {
			case key != strings.ToLower(key):
				return d.InputOffset(), fmt.Errorf("%s: there is no such key; keys have no capital letters", key)
			case keys[key]:
				return d.InputOffset(), fmt.Errorf("%s: the object has it twice", key)
			}
			keys[key], isKey = true, false
			continue
		}
		isKey = len(open) > 0 && open[len(open)-1] != nil
	}
}

// place is where a key stands first, or the beginning.
func place(raw []byte, key string) int64 {
	found := regexp.MustCompile(`"` + regexp.QuoteMeta(key) + `"\s*:`).FindIndex(raw)
	if found == nil {
		return 1
	}
	return int64(found[0]) + 1
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
