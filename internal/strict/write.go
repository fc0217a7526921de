package strict

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A lister is a table of texts that can be told: the other half of a type with Put. The same name may come again.
type lister interface {
	All(yield func(name, value string) bool)
}

// Write is *v, a struct, as a JSON object that [Read] reads into an equal value: those keys for whose path given says so,
// in the order of the fields and the notations of this package. It is nil when no key is given.
func Write(v any, given func(path string) bool) []byte {
	w := writer{given: given}
	if !w.object(reflect.ValueOf(v).Elem(), "") {
		return nil
	}
	return w.Bytes()
}

type writer struct {
	bytes.Buffer
	given func(path string) bool
}

// object writes the keys of a struct that are given, and reports whether there are any.
func (w *writer) object(v reflect.Value, path string) (any bool) {
	w.WriteByte('{')
	for _, k := range keysOf(v.Type()) {
		at := join(path, k.name)
		if !w.given(at) {
			continue
		}
		w.name(k.name, !any)
		w.value(v.FieldByIndex(k.index), at, k)
		any = true
	}
	w.WriteByte('}')
	return any
}

func (w *writer) name(name string, first bool) {
	if !first {
		w.WriteByte(',')
	}
	w.text(name)
	w.WriteByte(':')
}

func (w *writer) value(v reflect.Value, path string, k key) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			w.WriteString("null")
			return
		}
		v = v.Elem()
	}
	if k.off && (v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0) {
		w.text("off")
		return
	}
	switch p := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		w.text(fmt.Sprint(v.Interface()))
	case lister:
		w.pairs(p)
	case *time.Duration:
		w.text(durationText(*p))
	case interface{ Bytes() int64 }:
		w.text(sizeText(p.Bytes()))
	default:
		w.plain(v, path, k)
	}
}

func (w *writer) plain(v reflect.Value, path string, k key) {
	switch v.Kind() {
	case reflect.Struct:
		w.object(v, path)
	case reflect.Map:
		w.WriteByte('{')
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for i, n := range names {
			w.name(n.String(), i == 0)
			item := reflect.New(v.Type().Elem()).Elem() // what is in a map has no address
			item.Set(v.MapIndex(n))
			w.value(item, Join(path, n.String()), k.item())
		}
		w.WriteByte('}')
	case reflect.Slice:
		w.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				w.WriteByte(',')
			}
			w.value(v.Index(i), fmt.Sprintf("%s[%d]", path, i), k.item())
		}
		w.WriteByte(']')
	case reflect.String:
		w.text(v.String())
	case reflect.Float64:
		w.WriteString(strconv.FormatFloat(v.Float(), 'f', -1, 64))
	default: // whole numbers and truth
		fmt.Fprint(w, v.Interface())
	}
}

// pairs writes a table of texts; a name that comes again has a list.
func (w *writer) pairs(l lister) {
	var names []string
	values := map[string][]string{}
	for name, value := range l.All {
		if values[name] == nil {
			names = append(names, name)
		}
		values[name] = append(values[name], value)
	}
	w.WriteByte('{')
	for i, name := range names {
		w.name(name, i == 0)
		if one := values[name]; len(one) == 1 {
			w.text(one[0])
			continue
		}
		for j, value := range values[name] {
			w.WriteByte("[,"[min(j, 1)])
			w.text(value)
		}
		w.WriteByte(']')
	}
	w.WriteByte('}')
}

// durationText is d without the zeros at its end: "1m", "1h30m".
func durationText(d time.Duration) string {
	s := d.String()
	if d%time.Minute == 0 && d != 0 {
		s = strings.TrimSuffix(s, "0s")
	}
	if d%time.Hour == 0 && d != 0 {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// sizeText is n in the largest unit of which it is a whole number.
func sizeText(n int64) string {
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if n%(1<<10) != 0 || n == 0 {
			return strconv.FormatInt(n, 10) + unit
		}
		n >>= 10
	}
	return strconv.FormatInt(n, 10) + "GiB"
}

// text writes s as JSON. Characters that YAML wants escaped are, beside those of JSON.
func (w *writer) text(s string) {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // text always marshals
	}
	for _, r := range string(b) {
		if r >= 0x7f && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(w, `\u%04x`, r)
			continue
		}
		w.WriteRune(r)
	}
}
