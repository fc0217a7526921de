package config

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
	"semper/internal/argv"
)

// command is the argv at n: a list as it is, text through split. nil after a problem.
func (r *reader) command(n *yaml.Node, at string, split func(string) ([]string, error)) []string {
	// Only what an instance runs sees PORT; build runs before there is one.
	runtime := at != "build"
	if n.Kind == yaml.SequenceNode {
		return r.argv(n, at, runtime)
	}
	if n.Kind != yaml.ScalarNode {
		r.add(n, at, last(at)+" takes a command line or a list of words, not "+describe(n), "")
		return nil
	}
	if isNull(n) {
		r.add(r.keyOr(at, n), at, last(at)+" has no value", "give it the command to run")
		return nil
	}
	text, ok := r.expand(n, at, runtime)
	if !ok {
		return nil
	}
	argv, err := split(text)
	if err != nil {
		r.add(n, at, err.Error(), "")
		return nil
	}
	return argv
}

// argv reads a list of words.
func (r *reader) argv(n *yaml.Node, at string, runtime bool) []string {
	var words []string
	usable := true
	line := n.Line
	for _, item := range n.Content {
		item = r.resolve(item, at)
		if item == nil {
			return nil
		}
		if item.Kind != yaml.ScalarNode || isNull(item) {
			r.add(item, at, "a word of a command is text, not "+describe(item), "put it in quotes")
			usable = false
			continue
		}
		word, ok := r.expand(item, at, runtime)
		if ok && runtime && namesGiven(item.Value) && !isShell(words) {
			r.add(item, at, "a list runs without a shell, so "+item.Value+" stays as it is", "write the command as one text (or $$ for the character itself)")
		}
		usable = usable && ok
		words = append(words, word)
	}
	o := r.origins[at]
	r.origins[at] = Origin{Kind: OriginFile, File: r.name, Line: line, Vars: o.Vars}
	switch {
	case !usable:
		return nil
	case len(words) == 0 || strings.TrimSpace(words[0]) == "":
		r.add(n, at, last(at)+" is empty", "give it the command to run")
		return nil
	}
	return words
}

// namesGiven tells whether word has $PORT or $SOCKET in it, which only a shell replaces.
func namesGiven(word string) bool {
	for i := 0; i+1 < len(word); i++ {
		if word[i] != '$' {
			continue
		}
		if word[i+1] == '$' { // $$ is the character
			i++
			continue
		}
		if (i == 0 || word[i-1] != '{') && isGiven(word[i+1:][:argv.NameLength(word[i+1:])]) {
			return true
		}
	}
	return false
}

// isShell tells whether the words so far begin with a program that expands variables itself.
func isShell(words []string) bool {
	for _, w := range words {
		if slices.Contains([]string{"sh", "bash", "dash", "ash", "zsh", "ksh", "fish"}, path.Base(w)) {
			return true
		}
	}
	return false
}
