package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Options change how a document is read. The zero value is ready.
type Options struct {
	// New is called with a pointer to each struct before keys are read into it, to put defaults in.
	New func(v any)
	// Foreign names the keys that other programs have for something; one of them that the mapping has is the hint for a key
	// that it has not.
	Foreign func(name string) []string
	// Lenient passes over keys that the types do not have: they are of a program that knows more.
	Lenient bool
	// Text is the text of a scalar, instead of what stands there. It notes what is wrong with it itself.
	Text func(n *yaml.Node, path string) (text string, ok bool)
}

// Bounds on a document, against aliases that multiply, and on problems: nobody reads more.
const (
	maxValues   = 100_000
	maxMerges   = 16
	maxProblems = 200
)

// A Doc is a document that was read: where its keys are and what is wrong with it.
type Doc struct {
	name     string
	lines    []string
	options  Options
	places   map[string]place
	problems []Problem
	wrong    map[string]bool // paths with a problem in them
	values   int
}

// A place is where a path stands. key is nil for an item of a list.
type place struct{ key, value *yaml.Node }

// Read reads data, which is shown as name, into v, a pointer to a struct. Fields keep their values where the document has
// nothing for them, or nothing that fits. What is wrong is in the result.
func Read(name string, data []byte, v any, o Options) *Doc {
	text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\r", "\n")
	d := Begin(name, strings.Split(text, "\n"), o)
	if root := d.document(data); root != nil {
		d.places[""] = place{value: root}
		d.value(root, reflect.ValueOf(v).Elem(), "", key{})
	}
	return d
}

// Begin is a document of these lines of which nothing is read yet. See [Doc.Key].
func Begin(name string, lines []string, o Options) *Doc {
	if o.New == nil {
		o.New = func(any) {}
	}
	return &Doc{name: name, lines: lines, options: o, places: map[string]place{}, wrong: map[string]bool{}}
}

// Key reads the one key that stands at path into v, a pointer to a struct that has it. It is for documents that somebody else
// reads the rest of.
func (d *Doc) Key(v any, k, value *yaml.Node, path string) {
	of := reflect.ValueOf(v).Elem()
	if known, ok := find(keysOf(of.Type()), k.Value); ok {
		d.places[path] = place{k, value}
		d.value(value, of.FieldByIndex(known.index), path, known)
	}
}

// Place notes where somebody else has read what is at path. k is nil for an item of a list.
func (d *Doc) Place(path string, k, value *yaml.Node) { d.places[path] = place{k, value} }

// Err is [Problems], or nil.
func (d *Doc) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	return ordered(slices.Clone(d.problems)) // which may be asked again
}

// Given reports whether the document has the key at path: "routes[0].path".
func (d *Doc) Given(path string) bool {
	_, ok := d.places[path]
	return ok
}

// Wrong reports whether there is a problem at path or below it.
func (d *Doc) Wrong(path string) bool { return d.wrong[path] }

// Problem notes something wrong with the value at path, or where path is not given, with the nearest above it.
func (d *Doc) Problem(path, message, hint string) {
	d.problem(d.nearest(path).value, path, message, hint)
}

// Misplaced notes something wrong with the key at path: that it is there at all.
func (d *Doc) Misplaced(path, message, hint string) {
	at := d.nearest(path)
	if at.key != nil {
		d.problem(at.key, path, message, hint)
		return
	}
	d.problem(at.value, path, message, hint)
}

// Line is where path begins; 0 where it is not given.
func (d *Doc) Line(path string) int {
	at, ok := d.places[path]
	switch {
	case !ok:
		return 0
	case at.key != nil:
		return at.key.Line
	}
	return at.value.Line
}

// nearest is the place of path or of what is above it.
func (d *Doc) nearest(path string) place {
	for {
		if at, ok := d.places[path]; ok {
			return at
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return d.places[""]
		}
		path = path[:i]
	}
}

// problem notes one at a node; nil is the begin of the file.
func (d *Doc) problem(n *yaml.Node, path, message, hint string) {
	if n == nil {
		d.problemAt(1, 1, 1, path, message, hint)
		return
	}
	width := 1
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		width = utf8.RuneCountInString(n.Value)
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			width += 2
		}
	}
	d.problemAt(n.Line, n.Column, width, path, message, hint)
}

func (d *Doc) problemAt(line, column, width int, path, message, hint string) {
	for at := path; at != "" && !d.wrong[at]; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		d.wrong[at] = true
	}
	switch len(d.problems) {
	case maxProblems:
		message, hint = "there is more wrong after this", "mend these first"
	case maxProblems + 1:
		return
	}
	line = max(1, min(line, len(d.lines)))
	if line == len(d.lines) && line > 1 && d.lines[line-1] == "" { // behind the last newline
		line--
		column = utf8.RuneCountInString(d.lines[line-1]) + 1
	}
	source := strings.TrimPrefix(strings.ToValidUTF8(d.lines[line-1], "\ufffd"), "\ufeff")
	column = max(1, min(column, utf8.RuneCountInString(source)+1))
	d.problems = append(d.problems, Problem{
		File: d.name, Line: line, Column: column, Key: path, Message: message, Hint: hint, Source: source, Width: width,
	})
}

// document is the mapping that the file is; nil after a problem.
func (d *Doc) document(data []byte) *yaml.Node {
	if !d.characters() {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		d.syntax(err)
		return nil
	}
	var first, second yaml.Node
	err = loader.Load(&first)
	switch {
	case errors.Is(err, io.EOF) || err == nil && (len(first.Content) != 1 || isNull(first.Content[0])):
		d.problemAt(1, 1, 1, "", "the file is empty", "")
		return nil
	case err != nil:
		d.syntax(err)
		return nil
	}
	switch err = loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.syntax(err)
		return nil
	default:
		d.problem(&second, "", "a second document begins here", "remove it, and the --- before it")
		return nil
	}
	root := first.Content[0]
	if root.Kind != yaml.MappingNode {
		d.problem(root, "", "the file has to be keys with values, not "+describe(root), "")
		return nil
	}
	return root
}

// characters reports the first that a file may not have.
func (d *Doc) characters() bool {
	for i, line := range d.lines {
		if i == 0 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		column := 0
		for at, r := range line {
			column++
			switch {
			case r == utf8.RuneError && !strings.HasPrefix(line[at:], "\ufffd"):
				d.problemAt(i+1, column, 1, "", fmt.Sprintf("byte 0x%02x is not UTF-8", line[at]), "save the file as UTF-8")
				return false
			case r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r&0xfffe == 0xfffe:
				d.problemAt(i+1, column, 1, "", fmt.Sprintf("character U+%04X is not allowed", r), "remove it")
				return false
			}
		}
	}
	return true
}

// syntax reports where the YAML library gave up.
func (d *Doc) syntax(err error) {
	le, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		d.problemAt(1, 1, 1, "", "not valid YAML: "+strings.TrimPrefix(err.Error(), "yaml: "), "")
		return
	}
	mark := le.Mark
	if mark.Line == 0 {
		mark = le.ContextMark
	}
	if mark.Line > 0 && mark.Line <= len(d.lines) {
		line := d.lines[mark.Line-1]
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if at := strings.IndexByte(indent, '\t'); at >= 0 {
			d.problemAt(mark.Line, at+1, len(indent)-at, "", "a tab cannot indent", "use spaces")
			return
		}
	}
	hint := ""
	switch message := le.Message; {
	case strings.Contains(message, "mapping values are not allowed"):
		hint = `indent it like the keys around it, or put a value with ": " in it in quotes`
	case strings.Contains(message, "cannot start any token"):
		hint = "put the value in quotes"
	case strings.Contains(message, "expected ',' or"), strings.Contains(message, "unexpected end of stream"):
		hint = "close what is opened here"
		if le.ContextMark.Line > 0 {
			mark = le.ContextMark
		}
	case strings.Contains(message, "did not find expected key"):
		hint = "indent it like the keys around it, or close the quote before it"
	case strings.Contains(message, "unknown anchor"):
		hint = "define it with & before, or put a value that begins with * in quotes"
	}
	d.problemAt(mark.Line, mark.Column, 1, "", "not valid YAML: "+le.Message, hint)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// describe is the kind of a value in words.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return n.Value
	}
	return "text"
}
