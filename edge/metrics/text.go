package metrics

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const total = "_total"

// A text is an exposition that is being written: Prometheus' text format 0.0.4, or OpenMetrics 1.0.
type text struct {
	b    []byte
	open bool // OpenMetrics

	name, kind, help string // of the family that comes, until its first sample
}

// family begins a family. One without samples has no heading.
func (t *text) family(name, kind, help string) { t.name, t.kind, t.help = name, kind, help }

// heading writes what stands before a family's samples. Counters carry the suffix _total in both formats; in OpenMetrics
// their family does not.
func (t *text) heading() {
	name := t.name
	if t.open {
		name = strings.TrimSuffix(name, total)
	}
	t.b = append(append(t.b, "# HELP "...), name...)
	t.b = append(t.b, ' ')
	t.escape(t.help, t.open)
	t.b = append(append(t.b, "\n# TYPE "...), name...)
	t.b = append(append(t.b, ' '), t.kind...)
	t.b = append(t.b, '\n')
	t.name = ""
}

// labels is the inner part of a sample's braces.
func labels(all ...Label) string {
	var t text
	for _, l := range all {
		if l.Value == "" {
			continue // to Prometheus an empty label and none are the same
		}
		if len(t.b) > 0 {
			t.b = append(t.b, ',')
		}
		t.b = append(append(t.b, labelName(l.Name)...), `="`...)
		t.escape(l.Value, true)
		t.b = append(t.b, '"')
	}
	return string(t.b)
}

// labelName makes the dots of OpenTelemetry, and all else that may not be in a name, underscores.
func labelName(s string) string {
	name := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, s)
	if name == "" || '0' <= name[0] && name[0] <= '9' {
		return "_" + name
	}
	return name
}

// escape writes s as a label value or a help. Bytes that are no UTF-8 would make the whole scrape invalid.
func (t *text) escape(s string, quotes bool) {
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '\\':
			t.b = append(t.b, `\\`...)
		case r == '\n':
			t.b = append(t.b, `\n`...)
		case r == '"' && quotes:
			t.b = append(t.b, `\"`...)
		default:
			t.b = append(t.b, string(r)...)
		}
	}
}

// sample is a sample up to its value. more are labels behind labels; both may be empty.
func (t *text) sample(name, suffix, labels, more string) {
	if t.name != "" {
		t.heading()
	}
	t.b = append(append(t.b, name...), suffix...)
	if labels != "" || more != "" {
		t.b = append(append(t.b, '{'), labels...)
		if labels != "" && more != "" {
			t.b = append(t.b, ',')
		}
		t.b = append(append(t.b, more...), '}')
	}
	t.b = append(t.b, ' ')
}

func (t *text) float(v float64) {
	switch {
	case math.IsNaN(v):
		t.b = append(t.b, "NaN"...)
		return
	case math.IsInf(v, 0):
		t.b = strconv.AppendFloat(t.b, v, 'g', -1, 64) // "+Inf"
		return
	}
	from := len(t.b)
	t.b = strconv.AppendFloat(t.b, v, 'g', -1, 64)
	if t.open && !strings.ContainsAny(string(t.b[from:]), "e.") {
		t.b = append(t.b, ".0"...) // OpenMetrics tells floats from integers
	}
}

func (t *text) end() { t.b = append(t.b, '\n') }

// value is a whole sample of a counter or gauge.
func (t *text) value(name, labels string, v float64) {
	t.sample(name, "", labels, "")
	t.float(v)
	t.end()
}

// histogram is the samples of one histogram. limit is the upper end of a bucket that is not the last.
func (t *text) histogram(name, labels string, n []uint64, sum float64, limit func(int) float64, examples []example) {
	var seen uint64
	for i := range n {
		seen += n[i]
		le := math.Inf(1)
		if i < len(n)-1 {
			le = limit(i)
		}
		t.sample(name, "_bucket", labels, t.le(le))
		t.b = strconv.AppendUint(t.b, seen, 10)
		if t.open && i < len(examples) && examples[i] != (example{}) {
			t.example(&examples[i])
		}
		t.end()
	}
	t.sample(name, "_sum", labels, "")
	t.float(sum)
	t.end()
	t.sample(name, "_count", labels, "")
	t.b = strconv.AppendUint(t.b, seen, 10)
	t.end()
}

func (t *text) le(v float64) string {
	l := text{open: t.open}
	l.b = append(l.b, `le="`...)
	l.float(v)
	return string(append(l.b, '"'))
}

func (t *text) example(x *example) {
	t.b = append(t.b, ` # {trace_id="`...)
	t.b = x.trace.Append(t.b)
	t.b = append(t.b, `",span_id="`...)
	t.b = x.span.Append(t.b)
	t.b = append(t.b, `"} `...)
	t.float(x.value.Seconds())
	t.b = append(t.b, ' ')
	t.float(float64(x.ended) / 1e9)
}

func (t *text) durations(name, labels string, d *durations) {
	t.histogram(name, labels, d.n[:], time.Duration(d.sum).Seconds(), func(i int) float64 { return bounds[i].Seconds() }, d.examples[:])
}

func (t *text) volumes(name, labels string, v *volumes) {
	t.histogram(name, labels, v.n[:], float64(v.sum), sizeBound, nil)
}
