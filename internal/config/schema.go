package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v4"

	"semper"
	"semper/internal/strict"
)

// Schema is the JSON Schema (draft 2020-12) of semper.yaml, for editors, without a newline at its end. It is made from the same types
// the reader uses. Where a number or a fixed word is asked for, it allows text with ${ in it as well, since
// the schema sees a file before its variables are put in.
func Schema() []byte {
	cache := fieldCache{}
	r := jsonschema.Reflector{
		FieldNameTag:               "yaml",
		Anonymous:                  true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true,
		Mapper:                     notation,
		Namer:                      func(t reflect.Type) string { return strings.ToLower(strings.TrimSuffix(t.Name(), "Format")) },
		LookupComment: func(t reflect.Type, name string) string {
			if t.Kind() != reflect.Struct || name == "" {
				return ""
			}
			f, _ := t.FieldByName(name)
			return f.Tag.Get("doc")
		},
	}
	s := r.ReflectFromType(reflect.TypeFor[fileFormat]())
	s.ID = "https://semper.example/schema/v1.json"
	s.Title = "semper.yaml"
	finish(s, cache.of(reflect.TypeFor[fileFormat]()))
	for name, t := range definitions() {
		finish(s.Definitions[name], cache.of(t))
		lend(s.Definitions[name], t, s.Definitions)
	}
	steps, _ := s.Definitions["deploy"].Properties.Get("steps")
	for list := range eachList(steps) {
		list.Items = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Const: "pause"}, expandable(), list.Items}}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(err) // of the program's own types: a test would have seen it
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// eachList are the schemas of lists in s, which may have been loosened.
func eachList(s *jsonschema.Schema) iter.Seq[*jsonschema.Schema] {
	return func(yield func(*jsonschema.Schema) bool) {
		for _, one := range append([]*jsonschema.Schema{s}, s.AnyOf...) {
			if one.Items != nil && !yield(one) {
				return
			}
		}
	}
}

// definitions are the mappings of the format by their name in the schema.
func definitions() map[string]reflect.Type {
	types := map[string]reflect.Type{}
	for _, s := range (fieldCache{}).settings() {
		if s.borrowed || !isMapping(s.typ) {
			continue
		}
		t := s.typ
		if t.Kind() != reflect.Struct {
			t = t.Elem()
		}
		types[strings.ToLower(strings.TrimSuffix(t.Name(), "Format"))] = t
	}
	return types
}

// expandable is text that a variable makes into something else.
func expandable() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `\$\{`}
}

// notation is the schema of types written in a way of their own, without keywords of a single key.
func notation(t reflect.Type) *jsonschema.Schema {
	text := &jsonschema.Schema{Type: "string"}
	if strings.HasPrefix(t.PkgPath(), "semper/edge/") {
		return &jsonschema.Schema{} // see lend
	}
	words := &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{AnyOf: []*jsonschema.Schema{text, {Type: "number"}, {Type: "boolean"}}}, MinItems: new(uint64(1))}
	switch t {
	case reflect.TypeFor[command](), reflect.TypeFor[shellCommand]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{text, words}}
	case reflect.TypeFor[semper.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`}
	case reflect.TypeFor[share]():
		return &jsonschema.Schema{Type: "string", Pattern: sharePattern}
	case reflect.TypeFor[size]():
		return &jsonschema.Schema{Type: "string", Pattern: `^[0-9]+(\.[0-9]+)? ?(B|[kK]B|[MGT]B|[KMGT]iB)$`}
	case reflect.TypeFor[semper.EnvVar]():
		name := jsonschema.NewProperties()
		name.Set("secret", &jsonschema.Schema{Type: "string", Pattern: secretPattern, Description: reflect.TypeFor[secretRef]().Field(0).Tag.Get("doc")})
		ref := &jsonschema.Schema{Type: "object", Properties: name, Required: []string{"secret"}, AdditionalProperties: jsonschema.FalseSchema}
		ref.PatternProperties = map[string]*jsonschema.Schema{"^x-": jsonschema.TrueSchema}
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{text, {Type: "number"}, {Type: "boolean"}, ref}}
	}
	return nil
}

// finish adds to the schema of a mapping what the library does not know of.
func finish(s *jsonschema.Schema, fields fields) {
	s.PatternProperties = map[string]*jsonschema.Schema{"^x-": jsonschema.TrueSchema}
	for _, f := range fields {
		if f.borrowed {
			continue
		}
		p, _ := s.Properties.Get(f.name)
		p.Examples = nil
		if f.example != "" {
			p.Examples = []any{value(f.example)}
		}
		if f.preset != "" {
			p.Default = value(f.preset)
		}
		s.Properties.Set(f.name, loosen(p, f))
	}
}

// lend puts the schemas of borrowed keys into that of t, a mapping.
func lend(s *jsonschema.Schema, t reflect.Type, definitions jsonschema.Definitions) {
	for f := range t.Fields() {
		if !f.Anonymous || !isBorrowed(f.Type) {
			continue
		}
		of := strict.Properties(baseOf(f.Type), "edge.", expandable(), definitions)
		for name, p := range of {
			s.Properties.Set(name, p)
		}
	}
}

// value is a default or an example as JSON: a number where it is one, a list where it is written as one.
func value(s string) any {
	if isDecimal(s) {
		return json.Number(s)
	}
	var list []any
	if strings.HasPrefix(s, "[") && yaml.Unmarshal([]byte(s), &list) == nil {
		return list
	}
	return s
}

// loosen lets p be what the reader takes besides: nothing, a variable, the short form of health.
func loosen(p *jsonschema.Schema, f field) *jsonschema.Schema {
	or := func(others ...*jsonschema.Schema) *jsonschema.Schema {
		outer := &jsonschema.Schema{Description: p.Description, Default: p.Default, Examples: p.Examples}
		p.Description, p.Default, p.Examples = "", nil, nil
		outer.AnyOf = append([]*jsonschema.Schema{p}, others...)
		return outer
	}
	null := &jsonschema.Schema{Type: "null"}
	switch {
	case f.typ == reflect.TypeFor[health]():
		return or(&jsonschema.Schema{Type: "string", Pattern: "^/"}, expandable(), null)
	case isMapping(f.typ) || f.typ.Kind() == reflect.Map:
		if f.typ == reflect.TypeFor[map[string]service]() {
			p.PropertyNames = &jsonschema.Schema{Pattern: namePattern}
		}
		return or(null)
	case f.typ.Kind() == reflect.Bool:
		p.Type, p.Const = "", true
		return or(expandable())
	case p.Type == "integer", p.Type == "number", len(p.Enum) > 0, p.Pattern != "":
		if f.name == "user" {
			return or(&jsonschema.Schema{Type: "integer"}, expandable())
		}
		return or(expandable())
	}
	return p
}

// Explain is the documentation of a key, as text for a terminal. key is a path ("services.web.health.path",
// with any name for a service) or its end ("health.path", "warm"); every key that ends so is explained.
func Explain(key string) (string, bool) {
	var parts []string
	for _, s := range (fieldCache{}).settings() {
		if matches(s.path, key) {
			parts = append(parts, s.explain())
		}
	}
	return strings.Join(parts, "\n\n"), len(parts) > 0
}

// matches tells whether the end of path, a setting's, is key. A path that begins at the top has to match whole.
func matches(path, key string) bool {
	cut := func(s string) []string { return strings.Split(strings.ReplaceAll(s, "[]", ""), ".") }
	have, want := cut(path), cut(strings.TrimSpace(key))
	if len(want) > len(have) {
		return false
	}
	top := want[0] == "services" || (fieldCache{}).of(reflect.TypeFor[fileFormat]()).named(want[0]).name != "" && len(want) == 1
	if top && len(want) != len(have) {
		return false
	}
	for i, w := range want {
		h := have[len(have)-len(want)+i]
		if at := strings.IndexByte(w, '['); at > 0 {
			w = w[:at]
		}
		if h != w && !(h == "<name>" && w != "") {
			return false
		}
	}
	return true
}

// explain is the setting's path, what it takes, its default and its documentation.
func (s setting) explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", s.path, s.takes())
	switch {
	case s.required:
		b.WriteString(", required")
	case s.preset != "":
		b.WriteString(", default " + s.preset)
	}
	b.WriteString("\n  " + s.doc)
	if s.example != "" {
		fmt.Fprintf(&b, "\n  For example: %s: %s", s.name, s.example)
	}
	return b.String()
}

// takes is what a setting's value looks like, in words.
func (s setting) takes() string {
	switch {
	case s.borrowed:
		return s.takesText
	case s.typ == reflect.TypeFor[semper.Duration]():
		return "duration"
	case s.typ == reflect.TypeFor[size]():
		return "size"
	case s.typ == reflect.TypeFor[share]():
		return "share"
	case s.typ == reflect.TypeFor[command](), s.typ == reflect.TypeFor[shellCommand]():
		return "command line or list of words"
	case s.typ == reflect.TypeFor[health]():
		return "path or keys"
	case s.typ.Kind() == reflect.Map && isMapping(s.typ):
		return "keys by name"
	case s.typ.Kind() == reflect.Map:
		return "values by name"
	case s.typ.Kind() == reflect.Slice:
		return "list"
	case isMapping(s.typ):
		return "keys"
	case s.typ.Kind() == reflect.Bool:
		return "true"
	case s.enum != nil:
		return strings.Join(s.enum, ", ")
	case s.typ.Kind() == reflect.Int:
		return "whole number " + s.bounds()
	case s.typ.Kind() == reflect.Float64:
		return "number " + s.bounds()
	}
	return "text"
}
