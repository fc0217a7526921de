package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// paint colours words for a stream, or leaves them as they are.
type paint bool

func (p paint) with(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) good(s string) string { return p.with("32", s) }
func (p paint) bad(s string) string  { return p.with("31", s) }
func (p paint) warn(s string) string { return p.with("33", s) }
func (p paint) dim(s string) string  { return p.with("2", s) }
func (p paint) bold(s string) string { return p.with("1", s) }

// paint decides about colour for a stream: the flag, then NO_COLOR, CLICOLOR_FORCE, TERM, then whether it is a terminal.
func (c *command) paint(stream io.Writer) paint {
	switch c.color {
	case "always":
		return true
	case "never":
		return false
	}
	if c.env.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := c.env.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return paint(c.env.Getenv("TERM") != "dumb" && c.env.Getenv("CLICOLOR") != "0" && c.env.IsTTY(stream))
}

// print writes one value as asked for. name gives what -o name prints; table what a person reads.
func (c *command) print(value any, name []string, table func(io.Writer, paint)) error {
	var b bytes.Buffer
	switch c.output {
	case "json":
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(value); err != nil {
			return err
		}
	case "jsonl":
		if err := line(&b, value); err != nil {
			return err
		}
	case "yaml":
		if err := toYAML(&b, value); err != nil {
			return err
		}
	case "name":
		for _, n := range name {
			fmt.Fprintln(&b, n)
		}
	default:
		table(&b, c.paint(c.env.Stdout))
	}
	_, err := c.env.Stdout.Write(b.Bytes())
	return err
}

// printList is print for several values: an array in JSON, one line each in JSON lines.
func printList[T any](c *command, list []T, name func(T) string, table func(io.Writer, paint)) error {
	if list == nil {
		list = []T{}
	}
	var names []string
	for _, v := range list {
		names = append(names, name(v))
	}
	if c.output != "jsonl" {
		return c.print(list, names, table)
	}
	for _, v := range list {
		if err := line(c.env.Stdout, v); err != nil {
			return err
		}
	}
	return nil
}

// line writes a value as one line of JSON.
func line(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// toYAML writes the YAML of a value's JSON, so that both have the same keys in the same order.
func toYAML(w io.Writer, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil {
		return err
	}
	block(&n)
	b, err = yaml.Marshal(&n)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// block undoes the flow style and the quotes that JSON has.
func block(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode || len(n.Content) > 0 {
		n.Style = 0
	}
	for _, child := range n.Content {
		block(child)
	}
}

// grid is a table with aligned columns. A cell may be painted: its width is what is seen of it.
type grid [][]string

func (g *grid) row(cells ...string) { *g = append(*g, cells) }

func (g grid) write(w io.Writer) {
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

// cut shortens s to width characters, leaving colours whole.
func cut(s string, width int) string {
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

// safe replaces what a terminal would act on in text from elsewhere; newlines and tabs stay.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			return '\ufffd'
		}
		return r
	}, s)
}

// safeLog is safe for a line an instance printed: its colours stay, all other commands go.
func safeLog(s string) string {
	if !strings.Contains(s, "\x1b") {
		return safe(s)
	}
	var b strings.Builder
	for len(s) > 0 {
		if k := sgr(s); k > 0 {
			b.WriteString(s[:k])
			s = s[k:]
			continue
		}
		_, k := utf8.DecodeRuneInString(s)
		b.WriteString(safe(s[:k]))
		s = s[k:]
	}
	return b.String() + "\x1b[0m"
}

// size is a number of bytes for a person.
func size(n int64) string {
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

// span is a duration for a person: two places are enough.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// clock is a time for a person, in the zone the person is in.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
