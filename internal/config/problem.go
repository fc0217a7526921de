package config

import (
	"cmp"
	"slices"
	"strings"

	"semper"
	"semper/internal/strict"
)

// A Problem is one thing wrong in a file.
type Problem = strict.Problem

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
