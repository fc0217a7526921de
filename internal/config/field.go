package config

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"semper/edge/words"
	"semper/experiment/design"
	"semper/internal/config/later"
	"semper/internal/strict"
)

// A field is one key of the format with what its tags say.
type field struct {
	name, doc string
	index     []int
	typ       reflect.Type
	required  bool
	min, max  *float64
	above     *float64 // exclusive minimum
	enum      []string
	pattern   *regexp.Regexp
	preset    string // the default
	example   string
	borrowed  bool   // of package words: the format is package strict's
	takesText string // of a borrowed one: what its value looks like
}

// fields are the keys of one mapping, in the order of the format.
type fields []field

// fieldCache keeps the fields of types already looked at.
type fieldCache map[reflect.Type]fields

// of is the fields of struct type t, those of inlined structs among them.
func (c fieldCache) of(t reflect.Type) fields {
	if fs, ok := c[t]; ok {
		return fs
	}
	var fs fields
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous && isBorrowed(sf.Type) {
			for _, s := range strict.Settings(baseOf(sf.Type)) {
				if s.Path == s.Name {
					f := borrow(s)
					f.index = []int{i}
					fs = append(fs, f)
				}
			}
			continue
		}
		if sf.Anonymous {
			for _, f := range c.of(sf.Type) {
				f.index = append([]int{i}, f.index...)
				fs = append(fs, f)
			}
			continue
		}
		f := field{name: sf.Tag.Get("yaml"), doc: sf.Tag.Get("doc"), index: []int{i}, typ: sf.Type}
		f.read(sf.Tag.Get("jsonschema"))
		fs = append(fs, f)
	}
	c[t] = fs
	return fs
}

// named is the field of that name, or the zero field.
func (fs fields) named(name string) field {
	for _, f := range fs {
		if f.name == name {
			return f
		}
	}
	return field{}
}

// place is where name stands in the format; -1 where it does not.
func (fs fields) place(name string) int {
	return slices.IndexFunc(fs, func(f field) bool { return f.name == name })
}

func (fs fields) names() []string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.name
	}
	return names
}

// read takes the bounds out of a jsonschema tag. Tags are part of the program: a wrong one panics in its tests.
func (f *field) read(tag string) {
	const comma = "\x00"
	for part := range strings.SplitSeq(strings.ReplaceAll(tag, `\,`, comma), ",") {
		key, value, _ := strings.Cut(strings.ReplaceAll(part, comma, ","), "=")
		switch key {
		case "required":
			f.required = true
		case "minimum":
			f.min = bound(value)
		case "maximum":
			f.max = bound(value)
		case "exclusiveMinimum":
			f.above = bound(value)
		case "enum":
			f.enum = append(f.enum, value)
		case "pattern":
			f.pattern = regexp.MustCompile(value)
		case "default":
			f.preset = value
		case "example":
			f.example = value
		}
	}
}

func bound(s string) *float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return &v
}

// A setting is one key of the format with its path, "services.<name>.health.path".
type setting struct {
	path string
	field
}

// settings are all keys of the format, each mapping before its keys.
func (c fieldCache) settings() []setting {
	var all []setting
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for _, f := range c.of(t) {
			at := join(path, f.name)
			all = append(all, setting{at, f})
			if f.borrowed {
				for _, s := range strict.Settings(baseOf(t.Field(f.index[0]).Type)) {
					if below, ok := strings.CutPrefix(s.Path, f.name); ok && below != "" && strings.IndexByte(".[", below[0]) >= 0 {
						all = append(all, setting{join(path, s.Path), borrow(s)})
					}
				}
				continue
			}
			switch {
			case !isMapping(f.typ):
			case f.typ.Kind() == reflect.Struct:
				walk(f.typ, at)
			case f.typ.Kind() == reflect.Map:
				walk(f.typ.Elem(), at+".<name>")
			default:
				walk(f.typ.Elem(), at+"[]")
			}
		}
	}
	walk(reflect.TypeFor[fileFormat](), "")
	return all
}

// isMapping tells types that have keys of the format below them.
func isMapping(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Map, reflect.Slice:
		t = t.Elem()
	}
	switch t.PkgPath() {
	case reflect.TypeFor[fileFormat]().PkgPath(), reflect.TypeFor[design.Plan]().PkgPath(), reflect.TypeFor[later.Jobs]().PkgPath():
		return t.Kind() == reflect.Struct
	}
	return false
}

// poolKeys are the keys of how instances are treated.
func (c fieldCache) poolKeys() []string {
	var keys []string
	for _, f := range c.of(reflect.TypeFor[service]()) {
		if f.borrowed {
			keys = append(keys, f.name)
		}
	}
	return keys
}

// isBorrowed tells types whose keys are those of package words.
func isBorrowed(t reflect.Type) bool { return t.PkgPath() == reflect.TypeFor[words.Policy]().PkgPath() }

// baseOf is a borrowed type, with the defaults of an app.
func baseOf(t reflect.Type) any {
	switch t {
	case reflect.TypeFor[words.Policy]():
		return new(words.Base())
	case reflect.TypeFor[words.Pool]():
		return new(words.BasePool())
	}
	return reflect.New(t).Interface()
}

// borrow is a borrowed setting's field.
func borrow(s strict.Setting) field {
	return field{
		name: s.Name, doc: s.Doc, preset: s.Default, example: s.Example, required: s.Required, borrowed: true, takesText: s.Takes,
	}
}
