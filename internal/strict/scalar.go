package strict

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v4"
)

// scalar is the text of n; ok is false after a problem.
func (d *Doc) scalar(n *yaml.Node, path, takes string) (text string, ok bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.problem(n, path, fmt.Sprintf("%s takes %s, not %s", last(path), takes, describe(n)), "")
		return "", false
	case isNull(n):
		d.problem(d.keyOr(path, n), path, last(path)+" has no value", "give it one or remove the key")
		return "", false
	case strings.IndexByte(n.Value, 0) >= 0:
		d.problem(n, path, last(path)+" cannot have a NUL character", "")
		return "", false
	case d.options.Text != nil:
		return d.options.Text(n, path)
	}
	return n.Value, true
}

// keyOr is the node of the key at path, or n for an item of a list.
func (d *Doc) keyOr(path string, n *yaml.Node) *yaml.Node {
	if k := d.places[path].key; k != nil {
		return k
	}
	return n
}

func (d *Doc) text(n *yaml.Node, v reflect.Value, path string, k key) {
	s, ok := d.scalar(n, path, "text")
	if !ok {
		return
	}
	if hint, ok := k.allows(s); !ok {
		d.problem(n, path, fmt.Sprintf("%q is not a valid %s", s, k.name), hint)
		return
	}
	v.SetString(s)
}

func (d *Doc) unmarshaler(n *yaml.Node, p encoding.TextUnmarshaler, path string) {
	s, ok := d.scalar(n, path, "text")
	if !ok {
		return
	}
	if err := p.UnmarshalText([]byte(s)); err != nil {
		d.problem(n, path, err.Error(), "")
	}
}

func (d *Doc) truth(n *yaml.Node, v reflect.Value, path string) {
	s, ok := d.scalar(n, path, "true or false")
	if !ok {
		return
	}
	switch s {
	case "true", "on":
		v.SetBool(true)
	case "false", "off":
		v.SetBool(false)
	default:
		d.problem(n, path, fmt.Sprintf("%s takes true or false, not %q", last(path), s), "")
	}
}

func (d *Doc) number(n *yaml.Node, v reflect.Value, path string, k key) {
	whole := v.CanInt()
	takes := "a number"
	if whole {
		takes = "a whole number"
	}
	s, ok := d.scalar(n, path, takes)
	if !ok {
		return
	}
	x, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || !isDecimal(s) || whole && x != math.Trunc(x):
		d.problem(n, path, fmt.Sprintf("%s takes %s, not %q", last(path), takes, s), "")
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		d.problem(n, path, fmt.Sprintf("%s takes %s, not text", last(path), takes), "write "+s+" without quotes")
	case k.enum != nil && !k.takes(x):
		d.problem(n, path, fmt.Sprintf("%s is %s", last(path), s), "it is one of "+strings.Join(k.enum, ", "))
	case !k.takes(x):
		d.problem(n, path, fmt.Sprintf("%s is %s", last(path), s), "it has to be "+k.bounds())
	case whole:
		v.SetInt(int64(x))
	default:
		v.SetFloat(x)
	}
}

// takes checks a number against bounds and enum.
func (k key) takes(x float64) bool {
	if k.enum != nil {
		_, ok := k.allows(strconv.FormatFloat(x, 'f', -1, 64))
		return ok
	}
	return (k.min == nil || x >= *k.min) && (k.max == nil || x <= *k.max) && math.Abs(x) < 1<<53
}

// isDecimal tells how numbers are written: no hexadecimal, underscores, exponents or infinities.
func isDecimal(s string) bool {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	whole, part, _ := strings.Cut(s, ".")
	return whole+part != "" && strings.Trim(whole+part, "0123456789") == ""
}

// maxDuration is a year.
const maxDuration = 365 * 24 * time.Hour

func (d *Doc) duration(n *yaml.Node, to *time.Duration, path string) {
	s, ok := d.scalar(n, path, `a duration like "30s"`)
	if !ok {
		return
	}
	v, err := time.ParseDuration(s)
	switch {
	case isDecimal(s):
		d.problem(n, path, fmt.Sprintf("%q has no unit", s), fmt.Sprintf("write %q (ms, s, m or h)", s+"s"))
	case err != nil:
		d.problem(n, path, fmt.Sprintf("%q is not a duration", s), durationHint(s))
	case v < time.Millisecond || v > maxDuration:
		d.problem(n, path, fmt.Sprintf("%s is %s", last(path), s), `it has to be from "1ms" to "8760h", a year`)
	default:
		*to = v
	}
}

var words = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-9]{1,4}) *([A-Za-z]+)$`) })

// durationHint guesses what was meant.
func durationHint(s string) string {
	if m := words().FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return ""
		}
		unit := strings.ToLower(m[2])
		switch {
		case unit == "d" || strings.HasPrefix(unit, "day"):
			return fmt.Sprintf("write %q", strconv.Itoa(n*24)+"h")
		case unit == "w" || strings.HasPrefix(unit, "week"):
			return fmt.Sprintf("write %q", strconv.Itoa(n*7*24)+"h")
		case strings.IndexByte("smh", unit[0]) >= 0 && unit != "ms":
			return fmt.Sprintf("write %q", m[1]+unit[:1])
		}
	}
	return `write a number with ms, s, m or h, like "30s" or "1m30s"`
}

const (
	sizePattern  = `^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)$`
	sizeNotation = `^[0-9]+(\.[0-9]+)? ?(B|[kK]B|[MG]B|[KMG]iB)$`
)

var sizes = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(sizePattern) })

// units of sizes, in bytes.
func unitOf(name string) float64 {
	switch name {
	case "B":
		return 1
	case "KiB":
		return 1 << 10
	case "MiB":
		return 1 << 20
	case "GiB":
		return 1 << 30
	case "kB", "KB":
		return 1e3
	case "MB":
		return 1e6
	case "GB":
		return 1e9
	}
	return 0
}

func (d *Doc) size(n *yaml.Node, v reflect.Value, path string) {
	s, ok := d.scalar(n, path, `a size like "64MiB"`)
	if !ok {
		return
	}
	m := sizes().FindStringSubmatch(s)
	if m == nil {
		d.problem(n, path, fmt.Sprintf("%q is not a size", s), `write a number with B, KiB, MiB or GiB, like "64MiB"`)
		return
	}
	x, err := strconv.ParseFloat(m[1], 64)
	unit := unitOf(m[2])
	switch {
	case m[2] == "":
		d.problem(n, path, fmt.Sprintf("%q has no unit", s), fmt.Sprintf("write %q, or KiB, MiB, GiB", m[1]+"B"))
	case unit == 0:
		hint := "it is one of B, KiB, MiB, GiB, kB, MB, GB"
		if i := strings.IndexByte("kmg", m[2][0]|0x20); i >= 0 {
			hint = fmt.Sprintf("write %q", m[1]+"KMG"[i:i+1]+"iB")
		}
		d.problem(n, path, fmt.Sprintf("%q is not a unit of size", m[2]), hint)
	case err != nil || x*unit > 1<<50 || x*unit < 1:
		d.problem(n, path, fmt.Sprintf("%s is %s", last(path), s), `it has to be from "1B" to "1048576GiB"`)
	default:
		v.SetInt(int64(x * unit))
	}
}
