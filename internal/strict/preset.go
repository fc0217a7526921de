package strict

import (
	"encoding"
	"reflect"
	"time"

	"go.yaml.in/yaml/v4"
)

// Defaults puts the defaults that the tags of a struct name into *v, a pointer to it, and those of the structs in it. A tag that
// does not fit its type panics in the program's tests.
func Defaults(v any) {
	d := &Doc{lines: []string{""}, places: map[string]place{}, wrong: map[string]bool{}, options: Options{New: func(any) {}}}
	d.defaults(reflect.ValueOf(v).Elem(), "")
	if err := d.Err(); err != nil {
		panic(err)
	}
}

// defaults reads the defaults of a struct as if the document had them.
func (d *Doc) defaults(v reflect.Value, path string) {
	for _, k := range keysOf(v.Type()) {
		field, at := v.FieldByIndex(k.index), join(path, k.name)
		switch {
		case k.preset != "":
			d.value(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: k.preset}, field, at, k)
		case field.Kind() == reflect.Struct && !hasNotation(field):
			d.defaults(field, at)
		}
	}
}

// hasNotation reports whether a struct is written as text.
func hasNotation(v reflect.Value) bool {
	switch v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler, putter, *time.Duration:
		return true
	}
	return false
}
