// Package argv makes the words of a command line: as they are where it has no shell syntax, else for /bin/sh. It runs nothing, and
// expands nothing.
package argv

import (
	"errors"
	"slices"
	"strings"
)

// The errors of a command line.
var (
	ErrEmpty = errors.New("the command is empty")
	ErrQuote = errors.New("a quote in the command is not closed")
	ErrSlash = errors.New("the command ends with a backslash")
)

// Shell runs text by a shell whatever it is.
func Shell(text string) ([]string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, ErrEmpty
	}
	return []string{"/bin/sh", "-c", text}, nil
}

// Split is the argv of a command line. A line without shell syntax is split into its words; any
// other goes to [Exec].
func Split(text string) ([]string, error) {
	s := scanner{text: strings.TrimSpace(text)}
	if err := s.scan(); err != nil {
		return nil, err
	}
	if len(s.words) == 0 && !s.shell {
		return nil, ErrEmpty
	}
	if s.shell || isShellWord(s.words[0].text) || isAssignment(s.words[0]) {
		return Exec(text)
	}
	argv := make([]string, len(s.words))
	for i, w := range s.words {
		argv[i] = w.text
	}
	return argv, nil
}

// Exec lets a shell run text: a single command with exec, so that the instance is the program
// and not a shell waiting for it; a list, pipeline or compound command as it is.
func Exec(text string) ([]string, error) {
	text = strings.TrimSpace(text)
	s := scanner{text: text}
	if err := s.scan(); err != nil {
		return nil, err
	}
	for _, w := range s.words {
		if s.compound {
			break
		}
		if isAssignment(w) { // exec stands behind A=1, or it would be taken for the program
			continue
		}
		if !isShellWord(w.text) {
			text = text[:w.start] + "exec " + text[w.start:]
		}
		break
	}
	return Shell(text)
}

// Line is argv as somebody would type it into a shell: words that a shell would read otherwise are in quotes.
func Line(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		if w == "" || strings.ContainsFunc(w, special) {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}

// special is what a shell may read as more than itself.
func special(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r > 0xa0 || strings.ContainsRune("%+,-./:=@_", r))
}

// A word of a command line: its text without quotes, where it begins, and how much of its start was
// written without them.
type word struct {
	text  string
	start int
	plain int
}

// isAssignment tells A=1 in front of a program.
func isAssignment(w word) bool {
	n := NameLength(w.text)
	return n > 0 && n < w.plain && w.text[n] == '='
}

// isShellWord tells words that mean something to a shell where a program is expected.
func isShellWord(s string) bool {
	return slices.Contains([]string{
		"!", "{", "}", "[[", "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "in",
		".", ":", "alias", "break", "cd", "command", "continue", "eval", "exec", "exit", "export", "local", "read", "readonly", "return", "set",
		"shift", "source", "times", "trap", "type", "ulimit", "umask", "unalias", "unset", "wait",
	}, s)
}

// A scanner cuts a command line into words as a shell would, and notes what only a shell can do.
type scanner struct {
	text     string
	words    []word
	shell    bool // has shell syntax
	compound bool // has more than one command in it
	unclosed bool // has a substitution without an end; none is looked for again

	inWord bool // the fields below are of the word under way
	b      strings.Builder
	start  int
	plain  int // -1 until a quote
}

// begin begins a word at i, unless one is under way.
func (s *scanner) begin(i int) {
	if !s.inWord {
		s.inWord, s.start, s.plain = true, i, -1
		s.b.Reset()
	}
}

// quote notes that what follows in the word is quoted.
func (s *scanner) quote(i int) {
	if s.begin(i); s.plain < 0 {
		s.plain = s.b.Len()
	}
}

// end ends the word under way.
func (s *scanner) end() {
	if !s.inWord {
		return
	}
	s.quote(s.start)
	s.words = append(s.words, word{s.b.String(), s.start, s.plain})
	s.inWord = false
}

func (s *scanner) scan() (err error) {
	for i := 0; i < len(s.text) && err == nil; i++ {
		switch c := s.text[i]; c {
		case ' ', '\t', '\r':
			s.end()
		case '\'', '"':
			s.quote(i)
			i, err = s.quoted(i)
		case '\\':
			if i++; i == len(s.text) {
				return ErrSlash
			}
			if s.text[i] != '\n' { // or the line goes on
				s.quote(i - 1)
				s.b.WriteByte(s.text[i])
			}
		case '\n', '|', '&', ';', '(', ')':
			s.shell = true
			if (c == '|' || c == '&') && i > 0 && (s.text[i-1] == '>' || s.text[i-1] == '<') { // 2>&1
				continue
			}
			s.compound = true
			s.end()
		case '`', '$':
			s.shell = true
			s.begin(i)
			s.b.WriteByte(c)
			i = s.substitution(i)
		default:
			if strings.IndexByte("<>*?[", c) >= 0 || !s.inWord && (c == '~' || c == '#') {
				s.shell = true
			}
			s.begin(i)
			s.b.WriteByte(c)
		}
	}
	s.end()
	return err
}

// quoted appends what stands in the quotes that begin at i, and is the index of the closing one.
func (s *scanner) quoted(i int) (end int, err error) {
	q := s.text[i]
	for i++; i < len(s.text); i++ {
		c := s.text[i]
		switch {
		case c == q:
			return i, nil
		case q == '"' && c == '\\' && i+1 < len(s.text) && strings.IndexByte("$`\"\\\n", s.text[i+1]) >= 0:
			if i++; s.text[i] == '\n' {
				continue
			}
			c = s.text[i]
		case q == '"' && (c == '$' || c == '`'):
			s.shell = true
		}
		s.b.WriteByte(c)
	}
	return i, ErrQuote
}

// substitution is the last index of the `…` or $(…) that begins at i, or i for any other $. What stands
// inside is for the shell alone.
func (s *scanner) substitution(i int) int {
	rest := s.text[i:]
	if s.unclosed || rest[0] == '$' && !strings.HasPrefix(rest, "$(") {
		return i
	}
	if rest[0] == '`' {
		end := strings.IndexByte(rest[1:], '`')
		s.unclosed = end < 0
		return i + end + 1
	}
	open := 0
	for j := 1; j < len(rest); j++ {
		switch c := rest[j]; c {
		case '(':
			open++
		case ')':
			open--
		case '\\':
			j++
		case '\'', '"':
			if end := strings.IndexByte(rest[j+1:], c); open > 0 && end >= 0 {
				j += end + 1
			}
		}
		if open == 0 {
			return i + j
		}
	}
	s.unclosed = true
	return i
}

// NameLength is how much of s is the name of a variable.
func NameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}
