package strict

import (
	"encoding"
	"reflect"
	"strings"
	"time"
)

// A Setting is one key of a format, as documentation has it.
type Setting struct {
	Path     string // "queue.length", "rate_limit[].period", "error_pages.<name>"
	Name     string // the last part of Path that is a key
	Takes    string // what its value looks like, in words
	Doc      string
	Default  string
	Example  string
	Required bool
}

// Settings are the keys of *v, a struct, each before those below it. What *v holds are the defaults.
func Settings(v any) []Setting { return settings(reflect.ValueOf(v).Elem(), "", nil) }

func settings(v reflect.Value, path string, all []Setting) []Setting {
	for _, k := range keysOf(v.Type()) {
		at, field := join(path, k.name), v.FieldByIndex(k.index)
		all = append(all, Setting{at, k.name, k.takesWords(), k.doc, k.defaultOf(field), k.eg, k.required})
		switch t := field.Type(); {
		case notated(t):
		case t.Kind() == reflect.Struct:
			all = settings(field, at, all)
		case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
			all = settings(preset(t.Elem()), at, all)
		case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
			all = settings(preset(t.Elem()), at+"[]", all)
		case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct:
			all = settings(preset(t.Elem()), at+".<name>", all)
		}
	}
	return all
}

// preset is a struct with the defaults of its tags.
func preset(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	Defaults(p.Interface())
	return p.Elem()
}

// notated reports whether a type is written in a way of its own.
func notated(t reflect.Type) bool {
	switch reflect.New(t).Interface().(type) {
	case encoding.TextUnmarshaler, putter, *time.Duration, interface{ Bytes() int64 }:
		return true
	}
	return false
}

// defaultOf is what v is set to, as it is written; empty where that says nothing.
func (k key) defaultOf(v reflect.Value) string {
	kind := v.Kind()
	switch {
	case k.off && (v.IsZero() || kind == reflect.Slice && v.Len() == 0):
		return "off"
	case kind == reflect.Struct, kind == reflect.Map, kind == reflect.Pointer, kind == reflect.Slice:
		return ""
	case v.IsZero() && (k.preset == "" || kind != reflect.Int && kind != reflect.Bool):
		return ""
	}
	var w writer
	w.value(v, "", key{})
	return strings.Trim(w.String(), `"`)
}

// takesWords is what a key's value looks like, in words.
func (k key) takesWords() string {
	t := k.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	many := t.Kind() == reflect.Slice && !notated(t)
	if many {
		t = t.Elem()
	}
	var what string
	switch v := reflect.New(t).Interface().(type) {
	case encoding.TextUnmarshaler:
		what = "text"
	case putter:
		what = "values by name"
	case *time.Duration:
		what = "duration"
	case interface{ Bytes() int64 }:
		what = "size"
	default:
		what = k.plainWords(reflect.TypeOf(v).Elem())
	}
	if many {
		what = "list of " + what
	}
	if short := k.shortWords(t); short != "" {
		what = short + " or " + what
	}
	if k.off {
		what += ", or off"
	}
	return what
}

func (k key) plainWords(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Struct:
		return "keys"
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct:
		return "keys by name"
	case t.Kind() == reflect.Map:
		return "values by name"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case k.enum != nil:
		return strings.Join(k.enum, ", ")
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Float64:
		return "number " + k.bounds()
	case k.min == nil && k.max == nil:
		return "whole number"
	}
	return "whole number " + k.bounds()
}

// shortWords is what may stand for the keys of t.
func (k key) shortWords(t reflect.Type) string {
	if k.short == "" || t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return ""
	}
	if t.Kind() == reflect.Map {
		t = t.Elem()
	}
	inner, _ := find(keysOf(t), k.short)
	words := inner.takesWords()
	if len(inner.on) > 0 {
		words = "on, " + words
	}
	return words
}
