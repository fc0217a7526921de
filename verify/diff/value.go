package diff

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A Kind is how values at a place differ.
type Kind string

// The kinds.
const (
	Changed   Kind = "changed"   // another value of the same type
	Retyped   Kind = "retyped"   // a value of another type
	Added     Kind = "added"     // only the second has it
	Removed   Kind = "removed"   // only the first has it
	Reordered Kind = "reordered" // the same elements in another order
	Resized   Kind = "resized"   // another number of elements
)

// Kinds are all of them.
var Kinds = []Kind{Changed, Retyped, Added, Removed, Reordered, Resized}

// found is a difference before its values are masked.
type found struct {
	path    Path
	kind    Kind
	was, is any
}

// walk compares two values. It stops looking when it has found as much as anybody can read.
type walk struct {
	all []found
	cut bool
}

// maxFound bounds what is told of one pair of responses: two bodies with nothing in common differ everywhere.
const maxFound = 200

func (w *walk) add(p Path, k Kind, was, is any) {
	if len(w.all) >= maxFound {
		w.cut = true
		return
	}
	w.all = append(w.all, found{p, k, was, is})
}

// value compares what a JSON document can hold, numbers as [json.Number].
func (w *walk) value(p Path, was, is any) {
	if w.cut {
		return
	}
	switch a := was.(type) {
	case map[string]any:
		if b, ok := is.(map[string]any); ok {
			w.object(p, a, b, dataKeys(a) || dataKeys(b))
			return
		}
	case record:
		if b, ok := is.(record); ok {
			w.object(p, a, b, false)
			return
		}
	case []any:
		if b, ok := is.([]any); ok {
			w.array(p, a, b)
			return
		}
	case json.Number:
		if b, ok := is.(json.Number); ok {
			if !sameNumber(string(a), string(b)) {
				w.add(p, Changed, was, is)
			}
			return
		}
	default: // string, bool, nil
		if typeOf(was) == typeOf(is) {
			if was != is {
				w.add(p, Changed, was, is)
			}
			return
		}
	}
	w.add(p, Retyped, was, is)
}

// object compares two objects. data says that their keys are data and not names.
func (w *walk) object(p Path, a, b map[string]any, data bool) {
	keys := make([]string, 0, len(a)+len(b))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		step := k
		if data {
			step = Keys
		}
		was, hadIt := a[k]
		is, hasIt := b[k]
		switch {
		case !hasIt:
			w.add(p.with(step), Removed, was, nil)
		case !hadIt:
			w.add(p.with(step), Added, nil, is)
		default:
			w.value(p.with(step), was, is)
		}
	}
}

// array finds a change of order before it compares element by element. Where the numbers differ, what is equal at both
// ends is left out, and the rest is not compared: any pairing of it would be a guess.
func (w *walk) array(p Path, a, b []any) {
	if len(a) != len(b) {
		w.add(p, Resized, json.Number(strconv.Itoa(len(a))), json.Number(strconv.Itoa(len(b))))
		return
	}
	before := len(w.all)
	for i := range a {
		w.value(p.with(Elements), a[i], b[i])
	}
	if len(w.all) == before || len(a) < 2 {
		return
	}
	x, y := canonical(a), canonical(b)
	slices.Sort(x)
	slices.Sort(y)
	if slices.Equal(x, y) {
		w.all, w.cut = w.all[:before], false
		w.add(p, Reordered, a, b)
	}
}

func canonical(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		b, err := json.Marshal(v) // keys are sorted
		if err != nil {
			b = []byte(strconv.Itoa(i)) // it cannot be: it was read from JSON
		}
		out[i] = string(b)
	}
	return out
}

// dataKeys reports whether an object's keys are data: too many to be names, or such that nobody gives as a name.
func dataKeys(o map[string]any) bool {
	const names = 50
	if len(o) > names {
		return true
	}
	for k := range o {
		if identifier(k) {
			return true
		}
	}
	return false
}

// identifier reports whether a key looks like one: it begins with a digit or is hexadecimal and long, or longer than any name.
func identifier(k string) bool {
	const long, hexadecimal = 100, 16
	if k == "" || len(k) > long {
		return k != ""
	}
	if first := rune(k[0]); unicode.IsDigit(first) {
		return true
	}
	return len(k) >= hexadecimal && strings.Trim(k, "0123456789abcdefABCDEF-") == "" && strings.ContainsAny(k, "0123456789")
}

// sameNumber compares what numbers mean. Integers are compared as they stand, of any length; others as float64.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	if !strings.ContainsAny(a+b, ".eE") {
		return false
	}
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err == nil && err2 == nil && x == y
}

// typeOf is the type of a value in JSON's words.
func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

var errTrailing = errors.New("there is something behind the document")

// decode reads one JSON document, and nothing behind it.
func decode(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return v, nil
}
