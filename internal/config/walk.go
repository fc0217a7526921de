package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"semper"
	"semper/edge/words"
	"semper/internal/argv"
)

// maxVisits bounds how many values a file may have once its aliases are expanded.
const maxVisits = 100_000

// decode walks root and f together. What does not fit is reported; what fits is set.
func (r *reader) decode(root *yaml.Node, f *fileFormat) {
	r.places[""] = place{value: root}
	r.value(root, reflect.ValueOf(f).Elem(), "", field{})
}

// value decodes n into v, which is the setting at path described by f.
func (r *reader) value(n *yaml.Node, v reflect.Value, path string, f field) {
	n = r.resolve(n, path)
	if n == nil {
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *semper.EnvVar:
		r.envVar(n, p, path)
	case *semper.Duration:
		r.duration(n, p, path)
	case *size:
		r.size(n, p, path)
	case *secretName:
		r.secretName(n, p, path)
	case *share:
		r.share(n, p, path)
	case *stepFormat:
		r.step(n, p, path)
	case *command:
		*p = r.command(n, path, argv.Split)
	case *shellCommand:
		*p = shellCommand(r.command(n, path, argv.Shell))
	case *defaults:
		p.Policy = r.policy
		r.structure(n, v, path)
		r.policy = p.Policy
	case *health:
		if n.Kind == yaml.ScalarNode && !isNull(n) { // health: /path
			r.places[join(path, "path")] = r.places[path]
			r.text(n, reflect.ValueOf(&p.Path).Elem(), join(path, "path"), r.fields.of(v.Type()).named("path"))
			return
		}
		r.structure(n, v, path)
	default:
		r.plain(n, v, path, f)
	}
}

// plain decodes into the types that have no notation of their own.
func (r *reader) plain(n *yaml.Node, v reflect.Value, path string, f field) {
	switch v.Kind() {
	case reflect.Struct:
		r.structure(n, v, path)
	case reflect.Map:
		r.table(n, v, path)
	case reflect.Slice:
		r.list(n, v, path)
	case reflect.String:
		r.text(n, v, path, f)
	case reflect.Bool:
		r.truth(n, v, path)
	default:
		r.number(n, v, path, f)
	}
}

// resolve follows an alias and counts the visit; nil means that n cannot be used, which is reported.
func (r *reader) resolve(n *yaml.Node, path string) *yaml.Node {
	if r.visits++; r.visits > maxVisits {
		if r.visits == maxVisits+1 {
			r.add(n, path, fmt.Sprintf("aliases make this file larger than %d values", maxVisits), "write the values out where they are used")
		}
		return nil
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Style&yaml.TaggedStyle != 0 {
		r.add(n, path, fmt.Sprintf("the tag %s has no meaning here", n.Tag), "remove it")
		return nil
	}
	return n
}

// An entry is one key of a mapping with its value.
type entry struct {
	key, value *yaml.Node
}

// entries are the keys of a mapping, its merges expanded below them. Keys that are not text and keys
// given twice are reported and left out.
func (r *reader) entries(n *yaml.Node, path string, depth int) []entry {
	seen := map[string]*yaml.Node{}
	var own, merged []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch first := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			r.add(key, path, "a key has to be text, not "+describe(key), "")
		case key.ShortTag() == "!!merge":
			merged = append(merged, r.merge(value, path, depth)...)
		case first != nil:
			r.add(key, join(path, key.Value), fmt.Sprintf("key %q is given twice", key.Value), fmt.Sprintf("the first is in line %d", first.Line))
		default:
			seen[key.Value] = key
			own = append(own, entry{key: key, value: value})
		}
	}
	for _, e := range merged {
		if seen[e.key.Value] == nil {
			seen[e.key.Value] = e.key
			own = append(own, e)
		}
	}
	return own
}

// maxMerges bounds how deep << may lead to <<.
const maxMerges = 16

// merge is what << brings in: the keys of a mapping, or of a list of them, the first one first.
func (r *reader) merge(n *yaml.Node, path string, depth int) []entry {
	at := n
	if depth == maxMerges {
		r.add(at, path, "<< leads to << too often", "write the keys out")
		return nil
	}
	if n = r.resolve(n, path); n == nil {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		return r.entries(n, path, depth+1)
	case yaml.SequenceNode:
		var all []entry
		for _, item := range n.Content {
			all = append(all, r.merge(item, path, depth+1)...)
		}
		return all
	}
	r.add(at, path, "<< takes keys with values, not "+describe(n), "name an anchor: <<: *name")
	return nil
}

// mapping is the entries of n; nothing at all reads as no entries. ok is false after a problem.
func (r *reader) mapping(n *yaml.Node, path string) (entries []entry, ok bool) {
	if isNull(n) {
		return nil, true
	}
	if n.Kind != yaml.MappingNode {
		r.add(n, path, fmt.Sprintf("%s takes keys with values, not %s", last(path), describe(n)), "")
		return nil, false
	}
	return r.entries(n, path, 0), true
}

// structure decodes a mapping with known keys.
func (r *reader) structure(n *yaml.Node, v reflect.Value, path string) {
	entries, ok := r.mapping(n, path)
	if !ok {
		return
	}
	fields := r.fields.of(v.Type())
	// In the order of the format: what comes first there can be the default of what comes later.
	slices.SortStableFunc(entries, func(a, b entry) int { return fields.place(a.key.Value) - fields.place(b.key.Value) })
	for _, e := range entries {
		key := e.key.Value
		if strings.HasPrefix(key, "x-") {
			continue
		}
		f := fields.named(key)
		if f.name == "" {
			r.unknown(e.key, path, key, fields)
			continue
		}
		at := join(path, key)
		r.places[at] = place{e.key, e.value}
		r.words.Place(at, e.key, e.value)
		if f.borrowed {
			r.words.Key(v.FieldByIndex(f.index).Addr().Interface(), e.key, e.value, at)
			continue
		}
		r.value(e.value, v.FieldByIndex(f.index), at, f)
	}
	for _, f := range fields {
		if _, there := r.places[join(path, f.name)]; f.required && !there {
			where := r.places[path].key
			if where == nil {
				where = n
			}
			r.add(where, join(path, f.name), fmt.Sprintf("%s has no %s", orWord(path, "the file"), f.name), fmt.Sprintf("add %q", f.name+": "+orWord(f.example, "…")))
		}
	}
}

// table decodes a mapping whose keys are the user's names.
func (r *reader) table(n *yaml.Node, v reflect.Value, path string) {
	entries, ok := r.mapping(n, path)
	if !ok {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(entries)))
	for _, e := range entries {
		at := join(path, e.key.Value)
		r.places[at] = place{e.key, e.value}
		r.words.Place(at, e.key, e.value)
		item := reflect.New(v.Type().Elem()).Elem()
		r.begin(item.Addr().Interface())
		r.value(e.value, item, at, field{})
		v.SetMapIndex(reflect.ValueOf(e.key.Value), item)
	}
}

// list decodes a list.
func (r *reader) list(n *yaml.Node, v reflect.Value, path string) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		hint := ""
		if n.Kind == yaml.MappingNode {
			hint = `begin each item with "- "`
		}
		r.add(n, path, fmt.Sprintf("%s takes a list, not %s", last(path), describe(n)), hint)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.places[at] = place{value: item}
		r.words.Place(at, nil, item)
		r.begin(v.Index(i).Addr().Interface())
		r.value(item, v.Index(i), at, field{})
	}
}

// begin puts into an item of a list or table what holds where its keys say nothing.
func (r *reader) begin(v any) {
	switch v := v.(type) {
	case *routeFormat:
		v.Policy = r.policy
	case *service:
		v.Pool = words.BasePool()
	}
}

// join is the path of key below path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// last is the last key of path, quoted, for messages.
func last(path string) string {
	return fmt.Sprintf("%q", path[strings.LastIndexByte(path, '.')+1:])
}

// orWord is s, or word where s is empty.
func orWord(s, word string) string {
	if s == "" {
		return word
	}
	return s
}
