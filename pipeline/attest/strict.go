package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrUntrusted is in the chain of an error about an envelope that can be read and that no trusted key has signed.
var ErrUntrusted = errors.New("not signed by a trusted key")

// An Error is what is wrong with an envelope, a statement or a key, and where.
type Error struct {
	Place string // "signatures[0].sig"
	Why   string
	Err   error // ErrUntrusted, or nil
}

func (e *Error) Error() string { return e.Place + " " + e.Why }

// Unwrap is ErrUntrusted where that is what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// An object is one JSON object whose fields are known.
type object struct {
	place  string
	fields map[string]json.RawMessage
}

// readObject reads one JSON object with exactly the fields named; one that ends in "?" may be missing.
// encoding/json would take names in another case, and the last of two fields of one name.
func readObject(place string, raw []byte, names ...string) (object, error) {
	o := object{place: place, fields: make(map[string]json.RawMessage, len(names))}
	if !utf8.Valid(raw) {
		return o, &Error{Place: place, Why: "is not UTF-8"}
	}
	err := eachField(raw, func(name string, d *json.Decoder) error {
		if !slices.Contains(names, name) && !slices.Contains(names, name+"?") {
			return fmt.Errorf("has an unknown field %.40q", name)
		}
		if _, twice := o.fields[name]; twice {
			return fmt.Errorf("has the field %q twice", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return errNotJSON
		}
		o.fields[name] = value
		return nil
	})
	if err != nil {
		return o, &Error{Place: place, Why: err.Error()}
	}
	for _, name := range names {
		if _, there := o.fields[name]; !there && !strings.HasSuffix(name, "?") {
			return o, &Error{Place: place, Why: fmt.Sprintf("has no field %q", name)}
		}
	}
	return o, nil
}

var errNotJSON = errors.New("is not one JSON object")

// eachField calls f for each field of the one object in raw, with a decoder at its value, which f takes.
func eachField(raw []byte, f func(name string, d *json.Decoder) error) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errNotJSON
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return errNotJSON
		}
		name, ok := t.(string)
		if !ok {
			return errNotJSON
		}
		if err := f(name, d); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errNotJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("has something behind its end")
	}
	return nil
}

// checkObject is for an object whose fields are somebody else's: no name in it may be there twice.
func checkObject(place string, raw []byte) error {
	seen := map[string]bool{}
	err := eachField(raw, func(name string, d *json.Decoder) error {
		if seen[name] {
			return fmt.Errorf("has the field %.40q twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return errNotJSON
		}
		return nil
	})
	if err != nil {
		return &Error{Place: place, Why: err.Error()}
	}
	return nil
}

// text is a field that is a string of least to most bytes.
func (o object) text(name string, least, most int) (string, error) {
	place := o.place + "." + name
	raw := o.fields[name]
	if len(raw) == 0 || raw[0] != '"' {
		return "", &Error{Place: place, Why: "is not text"}
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", &Error{Place: place, Why: "is not text"}
	}
	if len(s) < least || len(s) > most {
		return "", &Error{Place: place, Why: fmt.Sprintf("has %d bytes, not %d to %d", len(s), least, most)}
	}
	return s, nil
}

// list is a field that is a list of least to most values.
func (o object) list(name string, least, most int) ([]json.RawMessage, error) {
	place := o.place + "." + name
	raw := o.fields[name]
	var items []json.RawMessage
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		return nil, &Error{Place: place, Why: "is not a list"}
	}
	if len(items) < least || len(items) > most {
		return nil, &Error{Place: place, Why: fmt.Sprintf("has %d values, not %d to %d", len(items), least, most)}
	}
	return items, nil
}
