package strict

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A key is one key of a mapping, as the tags of its field say.
type key struct {
	name, doc  string
	index      []int
	typ        reflect.Type
	required   bool
	min, max   *float64
	enum       []string
	pattern    *regexp.Regexp
	preset, eg string // default and example
	short      string
	off        bool
	on         []string
}

// known are the keys of types that were looked at; tags do not change.
var known sync.Map // reflect.Type → []key

// keysOf are the keys of a struct, those of embedded structs in their place.
func keysOf(t reflect.Type) []key {
	if ks, ok := known.Load(t); ok {
		return ks.([]key)
	}
	var ks []key
	for f := range t.Fields() {
		switch name := f.Tag.Get("yaml"); {
		case f.Anonymous:
			for _, k := range keysOf(f.Type) {
				k.index = append(slices.Clone(f.Index), k.index...)
				ks = append(ks, k)
			}
		case name != "" && name != "-":
			k := key{name: name, doc: f.Tag.Get("doc"), index: f.Index, typ: f.Type, short: f.Tag.Get("short"), on: strings.Fields(f.Tag.Get("on"))}
			_, k.off = f.Tag.Lookup("off")
			k.read(f.Tag.Get("jsonschema"))
			ks = append(ks, k)
		}
	}
	known.Store(t, ks)
	return ks
}

func find(ks []key, name string) (key, bool) {
	i := slices.IndexFunc(ks, func(k key) bool { return k.name == name })
	if i < 0 {
		return key{}, false
	}
	return ks[i], true
}

func names(ks []key) []string {
	all := make([]string, len(ks))
	for i, k := range ks {
		all[i] = k.name
	}
	return all
}

// read takes apart a jsonschema tag, in which a comma between brackets, braces or quotes belongs to a value. Tags are part
// of the program: a wrong one panics in its tests.
func (k *key) read(tag string) {
	for _, part := range splitTag(tag) {
		word, value, _ := strings.Cut(part, "=")
		switch word {
		case "":
		case "required":
			k.required = true
		case "minimum":
			k.min = number(value)
		case "maximum":
			k.max = number(value)
		case "enum":
			k.enum = append(k.enum, value)
		case "pattern":
			k.pattern = regexp.MustCompile(value)
		case "default":
			k.preset = value
		case "example":
			k.eg = value
		default:
			panic("no such word in a tag: " + part)
		}
	}
}

func splitTag(tag string) []string {
	var parts []string
	depth, begin := 0, 0
	for i := range len(tag) {
		switch tag[i] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, tag[begin:i])
				begin = i + 1
			}
		}
	}
	return append(parts, tag[begin:])
}

func number(s string) *float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return &v
}

// allows checks a word against enum and pattern; hint is what would be right.
func (k key) allows(s string) (hint string, ok bool) {
	if k.enum != nil && !slices.Contains(k.enum, s) {
		return DidYouMean(s, k.enum, "it is one of "), false
	}
	if k.pattern != nil && !k.pattern.MatchString(s) {
		if k.pattern.String() == "^/" {
			return fmt.Sprintf("write %q", "/"+s), false
		}
		return "it has to match " + k.pattern.String(), false
	}
	return "", true
}

// bounds is what numbers are allowed, in words.
func (k key) bounds() string {
	g := func(p *float64) string { return strconv.FormatFloat(*p, 'f', -1, 64) }
	switch {
	case k.min != nil && k.max != nil && *k.min == *k.max:
		return g(k.min)
	case k.min != nil && k.max != nil:
		return "from " + g(k.min) + " to " + g(k.max)
	case k.min != nil:
		return "at least " + g(k.min)
	case k.max != nil:
		return "at most " + g(k.max)
	}
	return "a number"
}

// DidYouMean is the hint for a word that is not one of candidates: the nearest of them, or after lead all.
func DidYouMean(word string, candidates []string, lead string) string {
	best, limit := "", max(1, len(word)/3)+1
	if len(word) <= 64 {
		for _, c := range slices.Sorted(slices.Values(candidates)) {
			if d := edits(strings.ToLower(word), strings.ToLower(c)); d < limit {
				best, limit = c, d
			}
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return lead + strings.Join(candidates, ", ")
}

// edits is how many characters have to be put in, taken out, changed or swapped with their neighbour to make b of a
// (optimal string alignment).
func edits(a, b string) int {
	s, t := []rune(a), []rune(b)
	row := func() []int { return make([]int, len(t)+1) }
	before, last, now := row(), row(), row()
	for j := range last {
		last[j] = j
	}
	for i := range s {
		now[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			now[j+1] = min(last[j+1]+1, now[j]+1, last[j]+cost)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				now[j+1] = min(now[j+1], before[j-1]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(t)]
}
