// Package jsonwords reads JSON that people write, and says what is wrong with it in the words of the file: its keys and values, and not
// the types of a program. It knows no format of its own.
package jsonwords

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"semper/internal/nearest"
)

// Decode reads the one value of text into the value that into points to. A key that it has no place for is an error, with the one that
// may have been meant, and so is anything behind the value. Where there is an error, line is the one where it was met; the first is 1.
func Decode(text []byte, into any) (line int, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(into); err == nil {
		if _, more := d.Token(); errors.Is(more, io.EOF) {
			return 0, nil
		}
		return lineAt(text, d.InputOffset()), errors.New("something stands behind the value")
	}
	at, known := Offset(err)
	switch {
	case known:
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		at = int64(len(text))
	default:
		at = d.InputOffset()
	}
	return lineAt(text, at), unknown(Plain(err), into)
}

// Offset is where a decoder met err, in bytes, if it says so.
func Offset(err error) (at int64, ok bool) {
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return s.Offset, true
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return t.Offset, true
	}
	return 0, false
}

func lineAt(text []byte, at int64) int {
	return 1 + bytes.Count(text[:min(int(at), len(text))], []byte("\n"))
}

// Plain is err of a decoder in the words of who wrote the file.
func Plain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it is cut off: %w", io.ErrUnexpectedEOF)
	}
	t, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return err
	}
	want := map[reflect.Kind]string{reflect.String: "text", reflect.Bool: "true or false", reflect.Slice: "a list", reflect.Struct: "an object", reflect.Map: "an object"}[t.Type.Kind()]
	if want == "" {
		want = "a number"
	}
	name := keyOf(t.Field)
	is := map[string]string{"string": "text", "array": "a list", "bool": "true or false", "object": "an object"}[t.Value]
	if is == "" {
		is = "a number" // with its digits, or without
	}
	if is == want {
		return fmt.Errorf("%s is %s, which is out of range", name, t.Value)
	}
	return fmt.Errorf("%s is %s where %s belongs", name, is, want)
}

// keyOf is the key in a file of a field that a decoder names: request.postData of Request.PostData.
func keyOf(field string) string {
	if field == "" {
		return "it"
	}
	parts := strings.Split(field, ".")
	for i, p := range parts {
		if p == strings.ToUpper(p) {
			parts[i] = strings.ToLower(p)
		} else {
			parts[i] = strings.ToLower(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, ".")
}

// unknown adds to an error about a key that into has none of which was meant.
func unknown(err error, into any) error {
	_, quoted, found := strings.Cut(err.Error(), "json: unknown field ")
	if !found {
		return err
	}
	key := strings.Trim(quoted, `"`)
	if near := nearest.To(key, keys(reflect.TypeOf(into), nil)); near != "" {
		return fmt.Errorf("unknown key %q: did you mean %q?", key, near)
	}
	return fmt.Errorf("unknown key %q", key)
}

// keys are all that t and what it holds may have; a decoder does not say in which of them a key stood.
func keys(t reflect.Type, seen []reflect.Type) (all []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	for _, s := range seen {
		if s == t {
			return nil
		}
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			all = append(all, name)
		}
		if f.IsExported() && name != "-" {
			all = append(all, keys(f.Type, append(seen, t))...)
		}
	}
	return all
}
