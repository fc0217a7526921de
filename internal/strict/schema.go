package strict

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// Schema is the JSON Schema (draft 2020-12) of documents that are read into t, a struct, with a newline at its end.
func Schema(t reflect.Type, id, title string) []byte {
	s := schemas{definitions: jsonschema.Definitions{}}
	root := s.object(t, reflect.Value{})
	root.Version, root.ID, root.Title, root.Definitions = jsonschema.Version, jsonschema.ID(id), title, s.definitions
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(err) // of the program's own types: a test would have seen it
	}
	return b.Bytes()
}

// Properties are the schemas of the keys of *v, a struct, for the schema of somebody else's document. What *v holds are the
// defaults. Definitions that they refer to are put into definitions, their names begun with prefix. Single values may be
// what also describes instead.
func Properties(v any, prefix string, also *jsonschema.Schema, definitions jsonschema.Definitions) map[string]*jsonschema.Schema {
	of := reflect.ValueOf(v).Elem()
	o := schemas{definitions, prefix, also}.object(of.Type(), of)
	all := make(map[string]*jsonschema.Schema, o.Properties.Len())
	for p := o.Properties.Oldest(); p != nil; p = p.Next() {
		all[p.Key] = p.Value
	}
	return all
}

type schemas struct {
	definitions jsonschema.Definitions
	prefix      string             // of their names
	also        *jsonschema.Schema // what a single value may be besides; nil: nothing
}

// object is the schema of a mapping with known keys. of has the defaults where it is valid; else the tags have.
func (s schemas) object(t reflect.Type, of reflect.Value) *jsonschema.Schema {
	o := &jsonschema.Schema{
		Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema,
		PatternProperties: map[string]*jsonschema.Schema{"^x-": jsonschema.TrueSchema},
	}
	for _, k := range keysOf(t) {
		o.Properties.Set(k.name, s.key(k, of))
		if k.required {
			o.Required = append(o.Required, k.name)
		}
	}
	return o
}

// key is the schema of what stands behind a key.
func (s schemas) key(k key, of reflect.Value) *jsonschema.Schema {
	if of.IsValid() {
		of = of.FieldByIndex(k.index)
		k.preset = k.defaultOf(of)
	}
	p := s.of(k.typ, k, of)
	if s.also != nil && !slices.Contains([]reflect.Kind{reflect.Struct, reflect.Map, reflect.Slice, reflect.Pointer}, k.typ.Kind()) {
		p = anyOf(p, s.also)
	}
	if k.off {
		p = anyOf(p, &jsonschema.Schema{Enum: []any{"off", false}})
	}
	if len(k.on) > 0 {
		p = anyOf(p, &jsonschema.Schema{Enum: []any{"on", true}})
	}
	if p.Ref != "" {
		p = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{p}}
	}
	p.Description = k.doc
	if k.preset != "" {
		p.Default = jsonValue(k.preset)
	}
	if k.eg != "" && !strings.ContainsAny(k.eg[:1], "{[") {
		p.Examples = []any{jsonValue(k.eg)}
	}
	return p
}

// anyOf is a or b; of an anyOf one level is enough.
func anyOf(a *jsonschema.Schema, more ...*jsonschema.Schema) *jsonschema.Schema {
	if a.AnyOf != nil {
		return &jsonschema.Schema{AnyOf: slices.Concat(a.AnyOf, more)}
	}
	return &jsonschema.Schema{AnyOf: append([]*jsonschema.Schema{a}, more...)}
}

// anyText is what reads as text, defined once.
func (s schemas) anyText() *jsonschema.Schema {
	name := s.prefix + "text"
	s.definitions[name] = anyOf(&jsonschema.Schema{Type: "string"}, &jsonschema.Schema{Type: "number"}, &jsonschema.Schema{Type: "boolean"})
	return &jsonschema.Schema{Ref: "#/$defs/" + name}
}

// of is the schema of a type, for the key or item that k describes.
func (s schemas) of(t reflect.Type, k key, of reflect.Value) *jsonschema.Schema {
	if t.Kind() == reflect.Pointer {
		return s.of(t.Elem(), k, reflect.Value{})
	}
	switch reflect.New(t).Interface().(type) {
	case encoding.TextUnmarshaler:
		return &jsonschema.Schema{Type: "string"}
	case putter:
		value := anyOf(s.anyText(), &jsonschema.Schema{Type: "array", Items: s.anyText()})
		return &jsonschema.Schema{Type: "object", AdditionalProperties: value}
	case *time.Duration:
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(\.[0-9]*)?(ms|s|m|h))+$`}
	case interface{ Bytes() int64 }:
		return &jsonschema.Schema{Type: "string", Pattern: sizeNotation}
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.structure(t, k, of)
	case reflect.Map:
		return &jsonschema.Schema{Type: "object", AdditionalProperties: s.of(t.Elem(), k.item(), reflect.Value{})}
	case reflect.Slice:
		item := s.of(t.Elem(), k.item(), reflect.Value{})
		return anyOf(&jsonschema.Schema{Type: "array", Items: item}, item)
	case reflect.Bool:
		return anyOf(&jsonschema.Schema{Type: "boolean"}, &jsonschema.Schema{Enum: []any{"on", "off"}})
	case reflect.String:
		return s.text(k)
	}
	return numeric(t, k)
}

func (s schemas) text(k key) *jsonschema.Schema {
	switch {
	case k.enum != nil:
		words := make([]any, len(k.enum))
		for i, w := range k.enum {
			words[i] = w
		}
		return &jsonschema.Schema{Enum: words}
	case k.pattern != nil && !k.pattern.MatchString("500"):
		return &jsonschema.Schema{Type: "string", Pattern: k.pattern.String()}
	case k.pattern != nil:
		return anyOf(&jsonschema.Schema{Type: "string", Pattern: k.pattern.String()}, &jsonschema.Schema{Type: "integer"})
	}
	return s.anyText()
}

func numeric(t reflect.Type, k key) *jsonschema.Schema {
	n := &jsonschema.Schema{Type: "number"}
	if t.Kind() == reflect.Int || t.Kind() == reflect.Int64 {
		n.Type = "integer"
	}
	for _, w := range k.enum {
		n.Enum = append(n.Enum, json.Number(w))
	}
	bound := func(f *float64) json.Number {
		if f == nil {
			return ""
		}
		b, _ := json.Marshal(*f) // a number
		return json.Number(b)
	}
	n.Minimum, n.Maximum = bound(k.min), bound(k.max)
	return n
}

// structure refers to a mapping, or also takes what stands for one of its keys.
func (s schemas) structure(t reflect.Type, k key, of reflect.Value) *jsonschema.Schema {
	name := s.prefix + strings.ToLower(t.Name())
	if _, ok := s.definitions[name]; !ok {
		s.definitions[name] = nil // it is being made
		s.definitions[name] = s.object(t, of)
	}
	p := anyOf(&jsonschema.Schema{Ref: "#/$defs/" + name}, &jsonschema.Schema{Type: "null"})
	if k.short != "" {
		inner, _ := find(keysOf(t), k.short)
		p = anyOf(p, s.of(inner.typ, inner, reflect.Value{}))
		if inner.off {
			p = anyOf(p, &jsonschema.Schema{Enum: []any{"off", false}})
		}
		if len(inner.on) > 0 {
			p = anyOf(p, &jsonschema.Schema{Enum: []any{"on", true}})
		}
	}
	return p
}

// jsonValue is a default or an example: a number or truth where it is one.
func jsonValue(s string) any {
	switch {
	case s == "true" || s == "false":
		return s == "true"
	case isDecimal(s):
		return json.Number(s)
	}
	return s
}
