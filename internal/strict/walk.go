package strict

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// A putter is a table of texts.
type putter interface {
	Put(name, value string) error
}

// value reads n into v, which is what k describes, at path.
func (d *Doc) value(n *yaml.Node, v reflect.Value, path string, k key) {
	if n = d.resolve(n, path); n == nil {
		return
	}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		d.options.New(p.Interface())
		d.value(n, p.Elem(), path, k)
		v.Set(p)
		return
	}
	if k.off && n.Kind == yaml.ScalarNode && (n.Value == "off" || n.Value == "false") {
		v.SetZero()
		return
	}
	switch p := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		d.unmarshaler(n, p, path)
	case putter:
		d.pairs(n, p, path)
	case *time.Duration:
		d.duration(n, p, path)
	case interface{ Bytes() int64 }:
		d.size(n, v, path)
	default:
		d.plain(n, v, path, k)
	}
}

// plain reads into a type without a notation of its own.
func (d *Doc) plain(n *yaml.Node, v reflect.Value, path string, k key) {
	switch v.Kind() {
	case reflect.Struct:
		if n.Kind != yaml.MappingNode && !isNull(n) && k.short != "" {
			d.shortened(n, v, path, k)
			return
		}
		d.structure(n, v, path)
	case reflect.Map:
		d.table(n, v, path, k)
	case reflect.Slice:
		d.list(n, v, path, k)
	case reflect.String:
		d.text(n, v, path, k)
	case reflect.Bool:
		d.truth(n, v, path)
	default:
		d.number(n, v, path, k)
	}
}

// shortened reads a value that stands for one key of a struct.
func (d *Doc) shortened(n *yaml.Node, v reflect.Value, path string, k key) {
	inner, ok := find(keysOf(v.Type()), k.short)
	if !ok {
		panic(fmt.Sprintf("%s has no key %q", v.Type(), k.short))
	}
	at := join(path, k.short)
	d.places[at] = d.places[path]
	d.value(n, v.FieldByIndex(inner.index), at, inner)
	d.required(n, v, path)
}

// resolve follows an alias and counts the value; nil: it cannot be used, which is noted.
func (d *Doc) resolve(n *yaml.Node, path string) *yaml.Node {
	if d.values++; d.values > maxValues {
		if d.values == maxValues+1 {
			d.problem(n, path, fmt.Sprintf("aliases make this file larger than %d values", maxValues), "write the values out where they are used")
		}
		return nil
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.problem(n, path, fmt.Sprintf("the tag %s means nothing here", n.Tag), "remove it")
		return nil
	}
	return n
}

// A pair is a key of a mapping with its value.
type pair struct{ key, value *yaml.Node }

// mapping is the keys of n, merged ones behind its own; ok is false after a problem.
func (d *Doc) mapping(n *yaml.Node, path string) (pairs []pair, ok bool) {
	switch {
	case isNull(n):
		return nil, true
	case n.Kind != yaml.MappingNode:
		d.problem(n, path, fmt.Sprintf("%s takes keys with values, not %s", last(path), describe(n)), "")
		return nil, false
	}
	return d.merged(n, path, 0), true
}

func (d *Doc) merged(n *yaml.Node, path string, depth int) []pair {
	seen := map[string]*yaml.Node{}
	var own, more []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		switch first := seen[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			d.problem(k, path, "a key has to be text, not "+describe(k), "")
		case k.ShortTag() == "!!merge":
			more = append(more, d.merge(v, path, depth)...)
		case first != nil:
			d.problem(k, join(path, k.Value), fmt.Sprintf("key %q is given twice", k.Value), fmt.Sprintf("the first is in line %d", first.Line))
		default:
			seen[k.Value] = k
			own = append(own, pair{k, v})
		}
	}
	for _, p := range more {
		if seen[p.key.Value] == nil {
			seen[p.key.Value] = p.key
			own = append(own, p)
		}
	}
	return own
}

// merge is what << brings: the keys of a mapping, or of a list of mappings.
func (d *Doc) merge(n *yaml.Node, path string, depth int) []pair {
	at := n
	if depth == maxMerges {
		d.problem(at, path, "<< leads to << too often", "write the keys out")
		return nil
	}
	if n = d.resolve(n, path); n == nil {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.merged(n, path, depth+1)
	case yaml.SequenceNode:
		var all []pair
		for _, item := range n.Content {
			all = append(all, d.merge(item, path, depth+1)...)
		}
		return all
	}
	d.problem(at, path, "<< takes keys with values, not "+describe(n), "name an anchor: <<: *name")
	return nil
}

// structure reads a mapping with known keys, in the order of the fields: what stands first in the type can be the default
// of what comes later, wherever it stands in the file.
func (d *Doc) structure(n *yaml.Node, v reflect.Value, path string) {
	pairs, ok := d.mapping(n, path)
	if !ok {
		return
	}
	keys := keysOf(v.Type())
	slices.SortStableFunc(pairs, func(a, b pair) int {
		at := func(p pair) int { return slices.IndexFunc(keys, func(k key) bool { return k.name == p.key.Value }) }
		return at(a) - at(b)
	})
	for _, p := range pairs {
		name := p.key.Value
		if strings.HasPrefix(name, "x-") {
			continue
		}
		k, ok := find(keys, name)
		if !ok && d.options.Lenient {
			continue
		}
		if !ok {
			d.problem(p.key, join(path, name), fmt.Sprintf("unknown key %q", name), d.instead(name, names(keys)))
			continue
		}
		at := join(path, name)
		d.places[at] = place{p.key, p.value}
		d.value(p.value, v.FieldByIndex(k.index), at, k)
	}
	d.required(n, v, path)
}

// required notes the keys that have to be there and are not.
func (d *Doc) required(n *yaml.Node, v reflect.Value, path string) {
	for _, k := range keysOf(v.Type()) {
		if at := join(path, k.name); k.required && !d.Given(at) {
			where := d.places[path].key
			if where == nil {
				where = n
			}
			d.problem(where, at, fmt.Sprintf("%s has no %s", last(path), k.name), fmt.Sprintf("add %q", k.name+": "+or(k.eg, "…")))
		}
	}
}

// instead is the hint for an unknown key.
func (d *Doc) instead(name string, keys []string) string {
	if d.options.Foreign != nil {
		for _, k := range d.options.Foreign(strings.ToLower(name)) {
			if slices.Contains(keys, k) {
				return fmt.Sprintf("did you mean %q?", k)
			}
		}
	}
	return DidYouMean(name, keys, "it is one of ")
}

// table reads a mapping whose keys are the user's names.
func (d *Doc) table(n *yaml.Node, v reflect.Value, path string, k key) {
	pairs, ok := d.mapping(n, path)
	if !ok {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(pairs)))
	for _, p := range pairs {
		at := Join(path, p.key.Value)
		d.places[at] = place{p.key, p.value}
		item := reflect.New(v.Type().Elem())
		d.options.New(item.Interface())
		d.value(p.value, item.Elem(), at, k.item())
		v.SetMapIndex(reflect.ValueOf(p.key.Value), item.Elem())
	}
}

// list reads a list, or one value as a list of one.
func (d *Doc) list(n *yaml.Node, v reflect.Value, path string, k key) {
	items := n.Content
	switch {
	case isNull(n):
		d.problem(d.keyOr(path, n), path, last(path)+" has no value", "give it one or remove the key")
		return
	case len(k.on) > 0 && n.Kind == yaml.ScalarNode && (n.Value == "on" || n.Value == "true"):
		v.Set(reflect.ValueOf(slices.Clone(k.on)).Convert(v.Type()))
		return
	case n.Kind != yaml.SequenceNode:
		items = []*yaml.Node{n}
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.places[at] = place{value: item}
		d.options.New(v.Index(i).Addr().Interface())
		d.value(item, v.Index(i), at, k.item())
	}
}

// item is what k says of each value of a list or table.
func (k key) item() key { return key{name: k.name, short: k.short, enum: k.enum, pattern: k.pattern} }

// pairs reads a table of texts.
func (d *Doc) pairs(n *yaml.Node, p putter, path string) {
	reflect.ValueOf(p).Elem().SetZero()
	pairs, ok := d.mapping(n, path)
	if !ok {
		return
	}
	for _, e := range pairs {
		at := Join(path, e.key.Value)
		d.places[at] = place{e.key, e.value}
		value := d.resolve(e.value, at)
		if value == nil {
			continue
		}
		values := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			values = value.Content
		}
		for _, v := range values {
			if v = d.resolve(v, at); v == nil {
				break
			}
			if s, ok := d.scalar(v, at, "text"); ok {
				if err := p.Put(e.key.Value, s); err != nil {
					d.problem(e.key, at, err.Error(), "")
				}
			}
		}
	}
}

// join is the path of a key below path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Join is the path of a key that is the user's own name.
func Join(path, name string) string { return join(path, escaper.Replace(name)) }

// escaper keeps a name from looking like a path.
var escaper = strings.NewReplacer("%", "%25", ".", "%2E", "[", "%5B")

// last is the last key of a path for a message.
func last(path string) string {
	if path == "" {
		return "the file"
	}
	return fmt.Sprintf("%q", path[strings.LastIndexByte(path, '.')+1:])
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
