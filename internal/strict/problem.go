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

	width int // of what is wrong, in characters
}

// shown is how much of a line is printed, in characters.
const shown = 140

// String has the place, what is wrong, and below it the line with a mark, without a newline at its end.
func (p Problem) String() string {
	text := p.File
	if p.Line > 0 {
		text += fmt.Sprintf(":%d:%d", p.Line, p.Column)
	}
	text += ": " + p.Message
	if p.Hint != "" {
		text += ": " + p.Hint
	}
	if p.Line == 0 || strings.TrimSpace(p.Source) == "" {
		return text
	}
	line := []rune(clean(p.Source))
	from := 0
	if p.Column > shown*3/4 { // a long line is shown around the place
		from = min(p.Column-shown/2, len(line))
	}
	to := min(len(line), from+shown)
	mark := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string(line[from:min(p.Column-1, to)]))
	width := max(1, min(p.width, to-p.Column+1))
	return fmt.Sprintf("%s\n%4d | %s\n     | %s%s", text, p.Line, string(line[from:to]), mark, "^"+strings.Repeat("~", width-1))
}

// clean replaces what a terminal would act upon.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029) {
			return utf8.RuneError
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
