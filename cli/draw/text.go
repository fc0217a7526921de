package draw

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Paint colours words for a stream, or leaves them as they are.
type Paint bool

func (p Paint) with(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Good is for what is as it should be.
func (p Paint) Good(s string) string { return p.with("32", s) }

// Bad is for what is lost or has failed.
func (p Paint) Bad(s string) string { return p.with("31", s) }

// Warn is for what needs a look, or is under way.
func (p Paint) Warn(s string) string { return p.with("33", s) }

// Dim is for what matters less.
func (p Paint) Dim(s string) string { return p.with("2", s) }

// Bold is for what matters most.
func (p Paint) Bold(s string) string { return p.with("1", s) }

// Grid is a table with aligned columns. A cell may be painted: its width is what is seen of it.
type Grid [][]string

// Row adds a line of cells.
func (g *Grid) Row(cells ...string) { *g = append(*g, cells) }

// Write prints the table, two blanks between columns, none at the end of a line.
func (g Grid) Write(w io.Writer) {
	var width []int
	for _, row := range g {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], seen(cell))
		}
	}
	for _, row := range g {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-seen(cell)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// seen is how many characters of s take room on a terminal.
func seen(s string) int {
	n := 0
	for len(s) > 0 {
		if k := sgr(s); k > 0 {
			s = s[k:]
			continue
		}
		_, k := utf8.DecodeRuneInString(s)
		s = s[k:]
		n++
	}
	return n
}

// sgr is the length of the colour sequence s begins with, or 0.
func sgr(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	for i := 2; i < len(s); i++ {
		switch {
		case s[i] == 'm':
			return i + 1
		case s[i] != ';' && (s[i] < '0' || s[i] > '9'):
			return 0
		}
	}
	return 0
}

// Cut shortens s to width characters, leaving colours whole.
func Cut(s string, width int) string {
	if seen(s) <= width {
		return s
	}
	var b strings.Builder
	n, painted := 0, false
	for len(s) > 0 && n < width-1 {
		if k := sgr(s); k > 0 {
			b.WriteString(s[:k])
			s, painted = s[k:], true
			continue
		}
		r, k := utf8.DecodeRuneInString(s)
		b.WriteRune(r)
		s = s[k:]
		n++
	}
	b.WriteRune('…')
	if painted {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

// Safe replaces what a terminal would act on in text from elsewhere; newlines and tabs stay.
func Safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			return '\ufffd'
		}
		return r
	}, s)
}

// SafeLog is Safe for a line an instance printed: its colours stay, all other commands go.
func SafeLog(s string) string {
	if !strings.Contains(s, "\x1b") {
		return Safe(s)
	}
	var b strings.Builder
	for len(s) > 0 {
		if k := sgr(s); k > 0 {
			b.WriteString(s[:k])
			s = s[k:]
			continue
		}
		_, k := utf8.DecodeRuneInString(s)
		b.WriteString(Safe(s[:k]))
		s = s[k:]
	}
	return b.String() + "\x1b[0m"
}

// Size is a number of bytes for a person.
func Size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

// Span is a duration for a person: two places are enough.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// Clock is a time for a person, in the zone the person is in.
func Clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// OrDash is s, or a dash for nothing.
func OrDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Plural counts a noun: "1 problem", "2 problems".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Stamp is a time for a log: to the millisecond, in UTC, sortable.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
