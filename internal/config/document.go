package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"semper/edge/words"
	"semper/internal/strict"
)

// A reader reads one file: it holds its lines, the place of every key and the problems found so far.
type reader struct {
	name     string
	lines    []string
	lookup   func(string) (string, bool)
	places   map[string]place // by key path
	origins  map[string]Origin
	problems []Problem
	wrong    map[string]bool // key paths with a problem in them, and what is above them
	fields   fieldCache
	visits   int          // of nodes, against aliases that multiply
	words    *strict.Doc  // what is borrowed; the places in it and its problems
	policy   words.Policy // what the next route begins with
}

// A place is where a key path stands. key is nil for an item of a list.
type place struct{ key, value *yaml.Node }

func newReader(name string, data []byte, lookup func(string) (string, bool)) *reader {
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	r := &reader{
		name: name, lines: splitLines(data), lookup: lookup,
		places: map[string]place{}, origins: map[string]Origin{},
		wrong: map[string]bool{}, fields: fieldCache{}, policy: words.Base(),
	}
	r.words = strict.Begin(name, r.lines, strict.Options{New: words.Fresh, Text: func(n *yaml.Node, path string) (string, bool) {
		return r.expand(n, path, false)
	}})
	return r
}

// lend takes in the problems of what is borrowed.
func (r *reader) lend() {
	if ps, ok := errors.AsType[strict.Problems](r.words.Err()); ok {
		r.problems = append(r.problems, ps...)
	}
}

// splitLines cuts where YAML does: at LF, CR LF and CR.
func splitLines(data []byte) []string {
	s := strings.ReplaceAll(string(data), "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(s, "\r", "\n"), "\n")
}

// maxProblems bounds how many problems are collected. Nobody reads more, and a hostile file could have
// a hundred thousand.
const maxProblems = 500

// full tells whether no further problem is collected.
func (r *reader) full() bool { return len(r.problems) > maxProblems }

// addAt reports a problem at a place of the file, moved into the file where it lies outside.
func (r *reader) addAt(line, column, width int, key, message, hint string) {
	for at := key; at != "" && !r.wrong[at]; at = at[:max(0, strings.LastIndexByte(at, '.'))] {
		r.wrong[at] = true
	}
	switch len(r.problems) {
	case maxProblems:
		message, hint = "there are more problems after these", "mend these first"
	case maxProblems + 1:
		return
	}
	line = max(1, min(line, len(r.lines)))
	if line == len(r.lines) && line > 1 && r.lines[line-1] == "" { // past the last newline
		line--
		column = utf8.RuneCountInString(r.lines[line-1]) + 1
	}
	source := strings.ToValidUTF8(r.lines[line-1], "\ufffd")
	source = strings.TrimPrefix(source, "\ufeff")
	column = max(1, min(column, utf8.RuneCountInString(source)+1))
	r.problems = append(r.problems, Problem{
		File: r.name, Line: line, Column: column, Key: key, Message: message, Hint: hint, Source: source, Width: width,
	})
}

// add reports a problem at a node; nil is the start of the file.
func (r *reader) add(n *yaml.Node, key, message, hint string) {
	if n == nil {
		r.addAt(1, 1, 1, key, message, hint)
		return
	}
	r.addAt(n.Line, n.Column, r.width(n), key, message, hint)
}

// width is how many characters of its line a scalar covers, 1 for anything else.
func (r *reader) width(n *yaml.Node) int {
	if n.Kind == yaml.AliasNode {
		return utf8.RuneCountInString(n.Value) + 1
	}
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return 1
	}
	w := utf8.RuneCountInString(n.Value)
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		w += 2
	}
	return w
}

// document is the one mapping the file holds, or nil after a problem.
func (r *reader) document(data []byte) *yaml.Node {
	before := len(r.problems)
	if r.characters(data); len(r.problems) > before {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.addAt(1, 1, 1, "", "cannot be read as YAML: "+err.Error(), "")
		return nil
	}
	var doc, next yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		r.addAt(1, 1, 1, "", "the file is empty", "write one with `semper init`")
		return nil
	} else if err != nil {
		r.syntax(err)
		return nil
	}
	switch err := loader.Load(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		r.syntax(err)
		return nil
	default:
		r.addAt(next.Line, next.Column, 1, "", "a second document begins here", "a semper.yaml is one document: remove it and the --- before it")
		return nil
	}
	if len(doc.Content) != 1 || isNull(doc.Content[0]) {
		r.addAt(1, 1, 1, "", "the file is empty", "write one with `semper init`")
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		r.add(root, "", "the file has to be keys with values, not "+describe(root), `begin with "version: 1"`)
		return nil
	}
	return root
}

// characters reports the first byte that is not UTF-8, or a character YAML does not allow.
func (r *reader) characters(data []byte) {
	for i, line := range r.lines {
		if i == 0 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		column := 1
		for rest := line; rest != ""; column++ {
			c, size := utf8.DecodeRuneInString(rest)
			if c == utf8.RuneError && size == 1 {
				hint := "save the file as UTF-8"
				if bytes.IndexByte(data, 0) >= 0 {
					hint = "this looks like UTF-16 or a binary file: save it as UTF-8"
				}
				r.addAt(i+1, column, 1, "", fmt.Sprintf("byte 0x%02x is not UTF-8", rest[0]), hint)
				return
			}
			if c < ' ' && c != '\t' || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfffe || c == 0xffff || c == 0xfeff {
				r.addAt(i+1, column, 1, "", fmt.Sprintf("character U+%04X is not allowed", c), "remove it")
				return
			}
			rest = rest[size:]
		}
	}
}

// syntax reports where the YAML library gave up, in words for people.
func (r *reader) syntax(err error) {
	le, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		r.addAt(1, 1, 1, "", "not valid YAML: "+strings.TrimPrefix(err.Error(), "yaml: "), "")
		return
	}
	mark := le.Mark
	if mark.Line == 0 {
		mark = le.ContextMark
	}
	line := ""
	if mark.Line > 0 && mark.Line <= len(r.lines) {
		line = r.lines[mark.Line-1]
	}
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	if at := strings.IndexByte(indent, '\t'); at >= 0 {
		r.addAt(mark.Line, at+1, len(indent)-at, "", "a tab cannot indent", "use spaces")
		return
	}
	message, hint, atContext := translate(le.Message)
	if atContext && le.ContextMark.Line > 0 {
		mark = le.ContextMark
	}
	r.addAt(mark.Line, mark.Column, 1, "", message, hint)
}

// translate turns a message of the YAML library into what is wrong, what would be right, and whether
// the place to show is where the construct began.
func translate(message string) (what, hint string, atContext bool) {
	switch {
	case strings.Contains(message, "mapping values are not allowed"):
		return "not valid YAML: a key is not expected here", `indent it like the keys around it, or put a value with ": " in it in quotes`, false
	case strings.Contains(message, "cannot start any token"):
		return "not valid YAML: a value cannot begin with this character", "put the value in quotes", false
	case strings.Contains(message, "expected ',' or '}'"), strings.Contains(message, "expected ',' or ']'"):
		return "not valid YAML: what is opened here is not closed", `add the missing "` + message[len(message)-2:len(message)-1] + `", or the comma between two values`, true
	case strings.Contains(message, "unexpected end of stream"):
		return "not valid YAML: what is opened here is not closed", "add the closing quote", true
	case strings.Contains(message, "could not find expected ':'"):
		return "not valid YAML: a key without a value", `write "key: value"`, true
	case strings.Contains(message, "did not find expected key"):
		return "not valid YAML: this does not fit the lines above", "indent it like the keys around it, or close the quote before it", false
	case strings.Contains(message, "unknown anchor"):
		return "not valid YAML: " + message, "define it with & before, or put a value that begins with * in quotes", false
	}
	return "not valid YAML: " + message, "", false
}

// isNull tells a value that is not there, or written as null or ~.
func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// describe is the kind of a value in words.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
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
