package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"semper"
	"semper/internal/config/foreign"
)

// scalar is the text of n with environment variables in their places. ok is false after a problem.
func (r *reader) scalar(n *yaml.Node, path, takes string) (text string, ok bool) {
	if n.Kind != yaml.ScalarNode {
		r.add(n, path, fmt.Sprintf("%s takes %s, not %s", last(path), takes, describe(n)), "")
		return "", false
	}
	if isNull(n) {
		r.add(r.keyOr(path, n), path, last(path)+" has no value", "give it one or remove the key")
		return "", false
	}
	return r.expand(n, path, false)
}

// keyOr is the node of the key at path, or n for an item of a list.
func (r *reader) keyOr(path string, n *yaml.Node) *yaml.Node {
	if k := r.places[path].key; k != nil {
		return k
	}
	return n
}

func (r *reader) text(n *yaml.Node, v reflect.Value, path string, f field) {
	s, ok := r.scalar(n, path, "text")
	if !ok {
		return
	}
	if hint, ok := f.allows(s); !ok {
		r.add(n, path, fmt.Sprintf("%q is not a valid %s", s, f.name), hint)
		return
	}
	v.SetString(s)
}

// allows checks s against the enum and the pattern of f; hint is what would be right.
func (f field) allows(s string) (hint string, ok bool) {
	if f.enum != nil && !slices.Contains(f.enum, s) {
		if other := foreign.Value(f.name, s); other != "" {
			return fmt.Sprintf("write %q", other), false
		}
		if hint := didYouMean(s, f.enum); hint != "" {
			return hint, false
		}
		return oneOf(f.enum), false
	}
	if f.pattern != nil && !f.pattern.MatchString(s) {
		return patternHint(f, s), false
	}
	return "", true
}

// patternHint says what the pattern of f asks for.
func patternHint(f field, s string) string {
	switch f.name {
	case "app":
		if fixed := slug(s); fixed != "" && fixed != s {
			return fmt.Sprintf("write %q (lower-case letters, digits and dashes, at most 40)", fixed)
		}
		return "lower-case letters, digits and dashes, at most 40, a letter or digit at both ends"
	case "path":
		return "begin it with /"
	case "user":
		return "the name or number of a user of this machine"
	}
	return "it has to match " + f.pattern.String()
}

func (r *reader) truth(n *yaml.Node, v reflect.Value, path string) {
	s, ok := r.scalar(n, path, "true")
	if !ok {
		return
	}
	if s != "true" {
		r.add(n, path, fmt.Sprintf("%s takes true, not %q", last(path), s), "leave the key out for no")
		return
	}
	v.SetBool(true)
}

func (r *reader) number(n *yaml.Node, v reflect.Value, path string, f field) {
	whole := v.Kind() == reflect.Int
	takes := "a number"
	if whole {
		takes = "a whole number"
	}
	s, ok := r.scalar(n, path, takes)
	if !ok {
		return
	}
	x, err := strconv.ParseFloat(s, 64)
	isQuoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && s == n.Value
	switch {
	case err != nil || !isDecimal(s):
		hint := ""
		if milli, cut := strings.CutSuffix(s, "m"); cut && f.name == "cpu" {
			if m, err := strconv.Atoi(milli); err == nil {
				hint = "write " + strconv.FormatFloat(float64(m)/1000, 'g', -1, 64)
			}
		}
		r.add(n, path, fmt.Sprintf("%s takes %s, not %q", last(path), takes, s), hint)
	case isQuoted:
		r.add(n, path, last(path)+" takes "+takes+", not text", "write "+s+" without quotes")
	case whole && x != math.Trunc(x):
		r.add(n, path, fmt.Sprintf("%s takes a whole number, not %s", last(path), s), "")
	case !f.within(x):
		r.add(n, path, fmt.Sprintf("%s is %s", last(path), s), "it has to be "+f.bounds())
	case whole:
		v.SetInt(int64(x))
	default:
		v.SetFloat(x)
	}
}

// isDecimal tells how numbers are written: no hexadecimal, no underscores, no infinity, no exponent.
func isDecimal(s string) bool {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	whole, part, _ := strings.Cut(s, ".")
	return whole+part != "" && strings.Trim(whole+part, "0123456789") == ""
}

func (f field) within(x float64) bool {
	return (f.min == nil || x >= *f.min) && (f.max == nil || x <= *f.max) && (f.above == nil || x > *f.above)
}

// bounds is the allowed range in words.
func (f field) bounds() string {
	g := func(p *float64) string { return strconv.FormatFloat(*p, 'f', -1, 64) }
	switch {
	case f.above != nil && f.max != nil:
		return "more than " + g(f.above) + " and at most " + g(f.max)
	case f.min != nil && f.max != nil && *f.min == *f.max:
		return g(f.min)
	case f.min != nil && f.max != nil:
		return "from " + g(f.min) + " to " + g(f.max)
	}
	return "in range"
}

// maxDuration is the longest duration a file may ask for: a year.
const maxDuration = 365 * 24 * time.Hour

func (r *reader) duration(n *yaml.Node, d *semper.Duration, path string) {
	s, ok := r.scalar(n, path, `a duration like "30s"`)
	if !ok {
		return
	}
	v, err := time.ParseDuration(s)
	switch {
	case isDecimal(s) && s != "0":
		r.add(n, path, fmt.Sprintf("%q has no unit", s), fmt.Sprintf("write %q (ms, s, m or h)", s+"s"))
	case err != nil:
		r.add(n, path, fmt.Sprintf("%q is not a duration", s), durationHint(s))
	case v < time.Millisecond:
		r.add(n, path, fmt.Sprintf("%s is %s", last(path), s), `the shortest is "1ms"`)
	case v > maxDuration:
		r.add(n, path, fmt.Sprintf("%s is %s", last(path), s), `the longest is "8760h", a year`)
	default:
		*d = semper.Duration(v)
	}
}

// durationHint guesses what a person meant.
func durationHint(s string) string {
	number := regexp.MustCompile(`^([0-9]+) *([A-Za-z]+)$`).FindStringSubmatch(s)
	if number != nil {
		n, err := strconv.Atoi(number[1])
		if unit := strings.ToLower(number[2]); err == nil && n < 10000 {
			switch {
			case unit == "d" || strings.HasPrefix(unit, "day"):
				return fmt.Sprintf("write %q", fmt.Sprintf("%dh", n*24))
			case unit == "w" || strings.HasPrefix(unit, "week"):
				return fmt.Sprintf("write %q", fmt.Sprintf("%dh", n*24*7))
			case strings.HasPrefix(unit, "sec") || unit == "s":
				return fmt.Sprintf("write %q", number[1]+"s")
			case strings.HasPrefix(unit, "min") || unit == "m":
				return fmt.Sprintf("write %q", number[1]+"m")
			case strings.HasPrefix(unit, "hour") || unit == "h":
				return fmt.Sprintf("write %q", number[1]+"h")
			}
		}
	}
	return `write a number with ms, s, m or h, like "30s" or "1m30s"`
}

// units of sizes, in bytes.
func unit(name string) int64 {
	switch name {
	case "B":
		return 1
	case "KiB":
		return 1 << 10
	case "MiB":
		return 1 << 20
	case "GiB":
		return 1 << 30
	case "TiB":
		return 1 << 40
	case "kB", "KB":
		return 1e3
	case "MB":
		return 1e6
	case "GB":
		return 1e9
	case "TB":
		return 1e12
	}
	return 0
}

// sizePattern is how sizes are written.
const sizePattern = `^([0-9]+(\.[0-9]+)?) ?([A-Za-z]*)$`

func (r *reader) size(n *yaml.Node, p *size, path string) {
	s, ok := r.scalar(n, path, `a size like "64MiB"`)
	if !ok {
		return
	}
	m := regexp.MustCompile(sizePattern).FindStringSubmatch(s)
	if m == nil {
		r.add(n, path, fmt.Sprintf("%q is not a size", s), `write a number with KiB, MiB or GiB, like "64MiB"`)
		return
	}
	x, err := strconv.ParseFloat(m[1], 64)
	u := unit(m[3])
	switch bytes := x * float64(u); {
	case m[3] == "":
		r.add(n, path, fmt.Sprintf("%q has no unit", s), fmt.Sprintf("write %q for bytes, or KiB, MiB, GiB", m[1]+"B"))
	case u == 0:
		r.add(n, path, fmt.Sprintf("%q is not a unit of size", m[3]), sizeHint(m[1], m[3]))
	case err != nil || bytes > 1<<60:
		r.add(n, path, fmt.Sprintf("%s is %s", last(path), s), `the largest is "1048576TiB"`)
	case bytes < 1:
		r.add(n, path, fmt.Sprintf("%s is %s", last(path), s), "it has to be at least 1B")
	default:
		*p = size(bytes)
	}
}

// sizeHint reads "512m", "512Mi" and the like as binary units.
func sizeHint(number, name string) string {
	if i := strings.Index("kmgt", strings.ToLower(name[:1])); i >= 0 && len(name) <= 3 {
		return fmt.Sprintf("write %q", number+"KMGT"[i:i+1]+"iB")
	}
	return `it is one of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB`
}

func (r *reader) envVar(n *yaml.Node, e *semper.EnvVar, path string) {
	if n.Kind != yaml.MappingNode {
		if isNull(n) {
			r.add(r.keyOr(path, n), path, last(path)+" has no value", `write "" for an empty one`)
			return
		}
		e.Value, _ = r.scalar(n, path, "text, a number, true, false or {secret: NAME}")
		return
	}
	var ref secretRef
	r.structure(n, reflect.ValueOf(&ref).Elem(), path)
	e.Secret = string(ref.Secret)
}

// secretName reads the name of a secret, which is never expanded.
func (r *reader) secretName(n *yaml.Node, p *secretName, path string) {
	switch {
	case n.Kind != yaml.ScalarNode || isNull(n):
		r.add(n, path, `"secret" takes the name of a secret, not `+describe(n), "")
	case !regexp.MustCompile(secretPattern).MatchString(n.Value):
		hint := "letters, digits, underscores, dots and dashes"
		if strings.Contains(n.Value, "$") {
			hint = "the name itself, without a variable: secrets are not expanded"
		}
		r.add(n, path, fmt.Sprintf("%q is not a name of a secret", n.Value), hint)
	default:
		*p = secretName(n.Value)
		r.origins[path] = Origin{Kind: OriginFile, File: r.name, Line: n.Line}
	}
}
