package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"semper/internal/argv"
)

// maxNesting bounds ${A:-${B:-…}}.
const maxNesting = 8

// An expansion is a scalar's text while its variables are put in.
type expansion struct {
	lookup  func(string) (string, bool)
	runtime bool     // in a command: PORT and SOCKET are the instance's
	vars    []string // used, in order
	wrong   []wrong
}

// wrong is one variable that cannot be put in.
type wrong struct{ search, message, hint string }

// expand is the scalar n with its environment variables put in. Its origin is kept. ok is false after a
// problem, of which each variable has its own.
func (r *reader) expand(n *yaml.Node, path string, runtime bool) (text string, ok bool) {
	e := expansion{lookup: r.lookup, runtime: runtime}
	text = e.text(n.Value, 0)
	for _, w := range e.wrong {
		if r.full() {
			break
		}
		line, column := r.search(n, w.search)
		r.addAt(line, column, utf8.RuneCountInString(w.search), path, w.message, w.hint)
	}
	if strings.IndexByte(text, 0) >= 0 {
		r.add(n, path, last(path)+" cannot hold a NUL character", "")
		return "", false
	}
	o := Origin{Kind: OriginFile, File: r.name, Line: n.Line, Vars: e.vars}
	if len(e.vars) > 0 {
		o.Kind = OriginEnv
	}
	r.origins[path] = o
	return text, len(e.wrong) == 0
}

// text puts variables into s. After an unclosed ${ it gives up on the rest.
func (e *expansion) text(s string, depth int) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(s, '$')
		if at < 0 || at+1 == len(s) {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:at])
		switch s = s[at:]; s[1] {
		case '$':
			b.WriteByte('$')
			s = s[2:]
		case '{':
			end := closing(s)
			if end < 0 || depth == maxNesting {
				e.add(s, "${ is not closed", "add }, or write $${ for the characters themselves")
				return b.String()
			}
			b.WriteString(e.variable(s[:end+1], depth))
			s = s[end+1:]
		default: // $NAME is the shell's
			b.WriteByte('$')
			s = s[1:]
		}
	}
}

// closing is the index of the brace that closes the one s begins with, or -1.
func closing(s string) int {
	open := 0
	for i := range len(s) {
		switch {
		case s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
			open++
		case s[i] == '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return -1
}

// variable is the value of expr: ${NAME}, ${NAME:-default} or ${NAME:?message}.
func (e *expansion) variable(expr string, depth int) string {
	inner := expr[2 : len(expr)-1]
	name := inner[:argv.NameLength(inner)]
	rest := inner[len(name):]
	switch {
	case name == "":
		e.add(expr, fmt.Sprintf("%s names no variable", brief(expr)), "write $${ for the characters themselves")
		return ""
	case e.runtime && isGiven(name):
		e.add(expr, fmt.Sprintf("%s is given at run time", name), fmt.Sprintf("write $%s", name))
		return ""
	case rest != "" && !strings.HasPrefix(rest, ":-") && !strings.HasPrefix(rest, ":?"):
		e.add(expr, fmt.Sprintf("%s is none of ${NAME}, ${NAME:-default}, ${NAME:?message}", brief(expr)), "write $"+brief(expr)+" to leave it to the shell")
		return ""
	}
	e.vars = append(e.vars, name)
	value, set := e.lookup(name)
	unset := fmt.Sprintf("environment variable %s is not set", name)
	if set {
		unset = fmt.Sprintf("environment variable %s is empty", name)
	}
	switch {
	case set && (value != "" || rest == ""):
		return value
	case strings.HasPrefix(rest, ":-"):
		return e.text(rest[2:], depth+1)
	case rest != "":
		e.add(expr, unset, strings.TrimSpace(rest[2:]))
	case isGiven(name):
		e.add(expr, unset, "semper gives it to the instance; it can be used in command only, as $"+name)
	default:
		e.add(expr, unset, fmt.Sprintf("set it, or give a default: ${%s:-…}", name))
	}
	return ""
}

func (e *expansion) add(search, message, hint string) {
	e.wrong = append(e.wrong, wrong{search, message, hint})
}

// isGiven tells the variables an instance gets from semper when it starts.
func isGiven(name string) bool {
	return name == "PORT" || name == "SOCKET" || name == "NOTIFY_SOCKET"
}

// brief is s short enough for a message.
func brief(s string) string {
	if utf8.RuneCountInString(s) <= 40 {
		return s
	}
	return string([]rune(s)[:39]) + "…"
}

// search is where s stands in the source of scalar n, or where n begins. A scalar's lines follow its
// first, so that the search ends soon.
func (r *reader) search(n *yaml.Node, s string) (line, column int) {
	first, _, _ := strings.Cut(s, "\n")
	for i := max(0, n.Line-1); i < min(len(r.lines), n.Line+strings.Count(n.Value, "\n")+1); i++ {
		text, skip := r.lines[i], 0
		if i == n.Line-1 {
			skip = max(0, n.Column-1)
			all := []rune(text)
			text = string(all[min(skip, len(all)):])
		}
		if at := strings.Index(text, first); at >= 0 {
			return i + 1, skip + utf8.RuneCountInString(text[:at]) + 1
		}
	}
	return n.Line, n.Column
}
