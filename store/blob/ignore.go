package blob

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"semper"
)

// IgnoreFile is the name of the file in an artifact's directory that says what does not belong to it.
const IgnoreFile = ".semperignore"

// Ignore says which paths of a directory are left out of its artifact. The zero value leaves out
// nothing. It is immutable.
//
// The rules are those of a .gitignore: one glob a line, "#" begins a comment, "dir/" matches only
// directories, a "/" elsewhere ties the glob to the top, "**" stands for any number of directories,
// "!" takes back what an earlier line left out. The last line that matches decides. What is below a
// directory left out cannot be taken back.
type Ignore struct {
	rules []rule
}

type rule struct {
	parts []string // of the glob, split at "/"; "**" is any number of them
	dirs  bool     // matches directories only
	keep  bool     // takes back
}

// LoadIgnore is what the .semperignore of dir says, after the built-in rules that leave out .git, .hg
// and .svn. Without that file it is the built-in rules. An unreadable glob is an Invalid error with its line.
func LoadIgnore(dir string) (Ignore, error) {
	g, err := ParseIgnore(".git\n.hg\n.svn\n")
	if err != nil {
		return Ignore{}, err
	}
	b, err := os.ReadFile(filepath.Join(dir, IgnoreFile))
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	if err != nil {
		return Ignore{}, &semper.Error{Code: semper.Invalid, Op: "artifact pack", Err: err}
	}
	own, err := ParseIgnore(string(b))
	if err != nil {
		return Ignore{}, err
	}
	return Ignore{rules: append(g.rules, own.rules...)}, nil
}

// ParseIgnore reads rules from text.
func ParseIgnore(text string) (Ignore, error) {
	var g Ignore
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for n := 1; lines.Scan(); n++ {
		r, ok := parseRule(lines.Text())
		if !ok {
			continue
		}
		for _, p := range r.parts {
			if _, err := path.Match(p, ""); err != nil {
				return Ignore{}, &semper.Error{Code: semper.Invalid, Op: "artifact pack",
					Message: fmt.Sprintf("%s:%d: %q is not a glob", IgnoreFile, n, lines.Text()), Hint: `write \[ for a plain [`}
			}
		}
		g.rules = append(g.rules, r)
	}
	return g, lines.Err()
}

func parseRule(line string) (rule, bool) {
	line = trimRule(line)
	if line == "" || line[0] == '#' {
		return rule{}, false
	}
	var r rule
	if line[0] == '!' {
		r.keep, line = true, line[1:]
	}
	r.dirs = strings.HasSuffix(line, "/")
	line = strings.TrimRight(line, "/")
	if line == "" {
		return rule{}, false
	}
	if !strings.Contains(line, "/") {
		line = "**/" + line
	}
	line = strings.ReplaceAll(strings.TrimPrefix(line, "/"), "[!", "[^")
	r.parts = strings.Split(line, "/")
	return r, true
}

// trimRule drops the blanks at the end, except one that is escaped.
func trimRule(line string) string {
	line = strings.TrimSuffix(line, "\r")
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	return line
}

// Match reports whether name, a slash-separated path below the directory, is left out. Whoever walks
// asks from the top down and does not enter a directory that is.
func (g Ignore) Match(name string, dir bool) bool {
	parts := strings.Split(name, "/")
	for i := len(g.rules) - 1; i >= 0; i-- {
		r := g.rules[i]
		if r.dirs && !dir {
			continue
		}
		if matchParts(r.parts, parts) {
			return !r.keep
		}
	}
	return false
}

func matchParts(glob, parts []string) bool {
	for len(glob) > 0 {
		if glob[0] == "**" {
			rest := glob[1:]
			if len(rest) == 0 {
				return len(parts) > 0 // "a/**" is what is below a, not a
			}
			for i := range parts {
				if matchParts(rest, parts[i:]) {
					return true
				}
			}
			return false
		}
		if len(parts) == 0 {
			return false
		}
		if ok, _ := path.Match(glob[0], parts[0]); !ok { // checked when it was parsed
			return false
		}
		glob, parts = glob[1:], parts[1:]
	}
	return len(parts) == 0
}
