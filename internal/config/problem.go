package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"semper"
)

// A Problem is one thing wrong in a file.
type Problem struct {
	File    string `json:"file"`             // as Load was told, joined with the name found in a directory
	Line    int    `json:"line,omitempty"`   // 1-based; 0 when there is no file to point into
	Column  int    `json:"column,omitempty"` // 1-based, in characters
	Key     string `json:"key,omitempty"`    // key path, "services.web.instances"
	Message string `json:"message"`          // what is wrong
	Hint    string `json:"hint,omitempty"`   // what would be right
	Source  string `json:"source,omitempty"` // the line

	width int // characters to underline
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
	b.WriteString("^" + strings.Repeat("~", max(0, min(p.width, utf8.RuneCountInString(after))-1)))
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

// Errors are all problems of one file, in file order. It is never empty.
type Errors []Problem

// Error is every problem with its source line, separated by newlines.
func (e *Errors) Error() string {
	lines := make([]string, len(*e))
	for i, p := range *e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// As lets [semper.CodeOf] see an Invalid input in e.
func (e *Errors) As(target any) bool {
	t, ok := target.(**semper.Error)
	if ok {
		*t = &semper.Error{Code: semper.Invalid, Message: e.Error()}
	}
	return ok
}

// sorted is the problems in file order, each once: an alias makes the walker see a place twice.
func sorted(problems []Problem) *Errors {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	e := Errors(slices.CompactFunc(problems, func(a, b Problem) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	}))
	return &e
}
