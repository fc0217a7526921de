package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Problem is one thing wrong in a file.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`   // from 1; 0 where there is no file to point into
	Column  int    `json:"column,omitempty"` // from 1, in characters
	Key     string `json:"key,omitempty"`    // "routes[0].path"
	Message string `json:"message"`          // what is wrong
	Hint    string `json:"hint,omitempty"`   // what would be right
	Source  string `json:"source,omitempty"` // the line

	Width int `json:"-"` // of what is wrong, in characters
}

// maxSource bounds the printed part of a line, in characters.
const maxSource = 160

// String is the problem as Error prints it, without a newline at the end.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + p.Message)
	if p.Hint != "" {
		b.WriteString(": " + p.Hint)
	}
	if p.Line > 0 && strings.TrimSpace(p.Source) != "" {
		p.quote(&b)
	}
	return b.String()
}

// quote prints the source line and a caret below. A long line is cut around the place.
func (p Problem) quote(b *strings.Builder) {
	before := p.Source[:offset(p.Source, p.Column-1)]
	after := p.Source[len(before):]
	lead, tail := "", ""
	if utf8.RuneCountInString(p.Source) > maxSource {
		if cut := utf8.RuneCountInString(before) - maxSource/2; cut > 0 {
			before, lead = before[offset(before, cut):], "…"
		}
		if end := offset(after, maxSource-utf8.RuneCountInString(before)); end < len(after) {
			after, tail = after[:end], "…"
		}
	}
	fmt.Fprintf(b, "\n%4d | %s%s%s\n     | ", p.Line, lead, printable(before+after), tail)
	for _, r := range lead + before {
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	b.WriteString("^" + strings.Repeat("~", max(0, min(p.Width, utf8.RuneCountInString(after))-1)))
}

// offset is the index of the byte at which character n of s begins, or where s ends.
func offset(s string, n int) int {
	if n <= 0 {
		return 0
	}
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// printable replaces what a terminal would act on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029) {
			return '\ufffd'
		}
		return r
	}, s)
}

// Problems are all that is wrong with one file, in its order. It is never empty.
type Problems []Problem

// Error is every problem as String has it.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// ordered is ps in the order of the file, each only once: an alias, or a default, leads to one place more than once.
func ordered(ps []Problem) Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(ps, func(a, b Problem) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	})
}
