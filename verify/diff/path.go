package diff

import (
	"fmt"
	"strconv"
	"strings"
)

// A Path is a place in responses, the same for all of them: like body.items[*].price or header.content-type.
type Path []string

// The steps that stand for many.
const (
	Elements = "[*]" // of an array
	Keys     = "{*}" // of an object whose keys are data
)

// String is the path in words that [ParsePattern] reads.
func (p Path) String() string {
	var b strings.Builder
	for i, step := range p {
		switch {
		case step == Elements || step == Keys:
			b.WriteString(step)
		case !plain(step):
			b.WriteString("[" + strconv.Quote(step) + "]")
		case i > 0:
			b.WriteString("." + step)
		default:
			b.WriteString(step)
		}
	}
	return b.String()
}

// plain reports whether a step needs no quotes.
func plain(step string) bool {
	return step != "" && !strings.ContainsAny(step, `.[]{}*"\`) && strings.IndexFunc(step, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0
}

// with is p and one more step. It never shares its end with another path.
func (p Path) with(step string) Path { return append(p[:len(p):len(p)], step) }

// A Pattern is a path in which * stands for any one step and ** for any number of them.
type Pattern []string

const (
	anyStep  = "*"
	anySteps = "**"
)

// ParsePattern reads a pattern as it stands in a rule: body.items[*].price, body.**.updated_at, header.*, body["a.b"].
func ParsePattern(s string) (Pattern, error) {
	var p Pattern
	rest := s
	for rest != "" {
		var step string
		switch {
		case strings.HasPrefix(rest, Elements), strings.HasPrefix(rest, Keys):
			step, rest = rest[:3], rest[3:]
		case strings.HasPrefix(rest, `["`):
			quoted, err := strconv.QuotedPrefix(rest[1:])
			if err != nil || !strings.HasPrefix(rest[1+len(quoted):], "]") {
				return nil, fmt.Errorf(`path %q, at %q: a quoted step ends with "], like body["a.b"]`, s, rest)
			}
			step, _ = strconv.Unquote(quoted) //nolint:errcheck // QuotedPrefix has read it
			rest = rest[len(quoted)+2:]
		default:
			end := strings.IndexAny(rest, ".[{")
			if end < 0 {
				end = len(rest)
			}
			step, rest = rest[:end], rest[end:]
			if step != anyStep && step != anySteps && !plain(step) {
				return nil, fmt.Errorf("path %q, at %q: a step with such characters is quoted, like body[\"a.b\"]", s, step+rest)
			}
		}
		p = append(p, step)
		if dot := strings.HasPrefix(rest, "."); dot {
			if rest = rest[1:]; rest == "" || strings.HasPrefix(rest, ".") {
				return nil, fmt.Errorf("path %q: there is no step behind a dot", s)
			}
		}
	}
	if len(p) == 0 {
		return nil, fmt.Errorf("a path is empty: it begins with status, header or body, or is ** for everything")
	}
	return p, nil
}

// Matches reports whether p is a place that the pattern means: with all that is below it.
func (q Pattern) Matches(p Path) bool {
	switch {
	case len(q) == 0:
		return true
	case q[0] == anySteps:
		for i := range len(p) + 1 {
			if q[1:].Matches(p[i:]) && (len(q) > 1 || i <= len(p)) {
				return true
			}
		}
		return false
	case len(p) == 0 || q[0] != anyStep && q[0] != p[0]:
		return false
	}
	return q[1:].Matches(p[1:])
}
